/** GET of a JSON document over HTTPS, the certificate verified. No redirects: what is configured is what is asked.
 *  Fails:  rejects with a text that names the URL. */
import { request } from 'node:https'
import { describeError } from '../../base/outcome.ts'

export interface GetLimits {
  readonly bytesMax: number
  /** For the whole of it. */
  readonly millisecondsMax: number
}

export async function getJson(url: string, { bytesMax, millisecondsMax }: GetLimits): Promise<unknown> {
  const signal = AbortSignal.timeout(millisecondsMax)
  try {
    const text = await new Promise<string>((resolve, reject) => {
      const asked = request(url, { signal, headers: { accept: 'application/json' }, agent: false }, (response) => {
        const chunks: Buffer[] = []
        let bytes = 0
        if (response.statusCode !== 200) asked.destroy(new Error(`status ${response.statusCode}`))
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > bytesMax) asked.destroy(new Error(`more than ${bytesMax} bytes`))
          else chunks.push(chunk)
        })
        response.on('error', reject)
        response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
      })
      asked.on('error', reject)
      asked.end()
    })
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new Error(`${url}: ${describeError(error)}`, { cause: error })
  }
}
