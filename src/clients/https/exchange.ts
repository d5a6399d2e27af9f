/** One request over HTTPS, the certificate verified. No redirects: only the configured URL is asked.
 *  Fails:  rejects with an ExchangeError, whose text names the URL; an answer with an error status is an answer. */
import { request } from 'node:https'
import type { LookupFunction } from 'node:net'
import type { SecureContext } from 'node:tls'
import { certificateFault, describeTlsError } from '../../system/certificate-faults.ts'
import { errorCode } from '../../system/files.ts'

export interface ExchangeLimits {
  /** Of the answer's body. */
  readonly bytesMax: number
  /** For the whole of it. */
  readonly millisecondsMax: number
}

export interface ExchangeRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** PEM; undefined: the authorities that the process trusts. */
  readonly roots?: string | undefined
  /** With the trusted authorities, in place of `roots` and the process's own. */
  readonly secureContext?: SecureContext
  /** In place of the system's, where addresses are not to be taken from there. */
  readonly lookup?: LookupFunction
}

export class ExchangeError extends Error {
  override name = 'ExchangeError'
  /** The server's certificate was not accepted. */
  readonly isCertificate: boolean

  constructor(url: string, cause: unknown) {
    super(`${url}: ${describeTlsError(cause)}`, { cause })
    this.isCertificate = certificateFault(errorCode(cause)) !== undefined
  }
}

export interface Answer {
  readonly status: number
  readonly body: Buffer
  /** The first of its name, which is in lower case. */
  header(name: string): string | undefined
}

export async function exchange(url: string, asked: ExchangeRequest, limits: ExchangeLimits): Promise<Answer> {
  const { bytesMax, millisecondsMax } = limits
  const { method = 'GET', headers = {}, body, roots, ...connection } = asked
  const signal = AbortSignal.timeout(millisecondsMax)
  const authorities = roots === undefined ? {} : { ca: roots }
  const options = { method, headers, signal, agent: false, ...authorities, ...connection } as const
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const sent = request(url, options, (response) => {
        const chunks: Buffer[] = []
        let bytes = 0
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes <= bytesMax) return void chunks.push(chunk)
          // At once: the end may have come with these bytes.
          reject(new Error(`more than ${bytesMax} bytes`))
          sent.destroy()
        })
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: Buffer.concat(chunks),
            header: (name) => [response.headers[name]].flat()[0],
          }),
        )
      })
      sent.on('error', reject)
      sent.end(body)
    })
  } catch (error) {
    throw new ExchangeError(url, signal.aborted ? new Error(`no answer in ${millisecondsMax / 1000} s`) : error)
  }
}
