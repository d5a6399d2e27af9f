/** GET over HTTPS, the certificate verified. No redirects, no cache: what is asked for is what is meant.
 *  Fails:  rejects with a text that names the URL; GetError says whether the certificate was to blame. */
import { request } from 'node:https'
import type { LookupFunction } from 'node:net'
import type { SecureContext } from 'node:tls'
import { certificateFault, describeTlsError } from '../../system/certificate-faults.ts'
import { errorCode } from '../../system/files.ts'

export interface GetLimits {
  readonly bytesMax: number
  /** For the whole of it. */
  readonly millisecondsMax: number
}

export interface GetOptions {
  readonly accept: string
  /** In place of the system's, where addresses are not to be taken from there. */
  readonly lookup?: LookupFunction
  /** With the authorities that are believed, where they are not Node's. */
  readonly secureContext?: SecureContext
}

export class GetError extends Error {
  override name = 'GetError'
  /** The server is not who it should be, by its certificate. */
  readonly isCertificate: boolean

  constructor(url: string, cause: unknown) {
    super(`${url}: ${describeTlsError(cause)}`, { cause })
    this.isCertificate = certificateFault(errorCode(cause)) !== undefined
  }
}

export async function get(url: string, limits: GetLimits, options: GetOptions): Promise<Buffer> {
  const { bytesMax, millisecondsMax } = limits
  const { accept, ...connection } = options
  const signal = AbortSignal.timeout(millisecondsMax)
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      const asked = request(url, { signal, headers: { accept }, agent: false, ...connection }, (response) => {
        const chunks: Buffer[] = []
        let bytes = 0
        if (response.statusCode !== 200) asked.destroy(new Error(`status ${response.statusCode}`))
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > bytesMax) asked.destroy(new Error(`more than ${bytesMax} bytes`))
          else chunks.push(chunk)
        })
        response.on('error', reject)
        response.on('end', () => resolve(Buffer.concat(chunks)))
      })
      asked.on('error', reject)
      asked.end()
    })
  } catch (error) {
    throw new GetError(url, signal.aborted ? new Error(`no answer in ${millisecondsMax / 1000} s`) : error)
  }
}

export async function getJson(url: string, limits: GetLimits): Promise<unknown> {
  const body = await get(url, limits, { accept: 'application/json' })
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch (error) {
    throw new GetError(url, error)
  }
}
