/** GET of a JSON document over HTTPS.
 *  Fails:  rejects with a text that names the URL. */
import { describeError } from '../../base/outcome.ts'
import { exchange, type ExchangeLimits } from './exchange.ts'

export async function getJson(url: string, limits: ExchangeLimits): Promise<unknown> {
  const { status, body } = await exchange(url, { headers: { accept: 'application/json' } }, limits)
  if (status !== 200) throw new Error(`${url}: status ${status}`)
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch (error) {
    throw new Error(`${url}: ${describeError(error)}`, { cause: error })
  }
}
