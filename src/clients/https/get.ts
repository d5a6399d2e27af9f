/** GET over HTTPS: a status other than 200 is a failure.
 *  Fails:  rejects with an ExchangeError. */
import { exchange, ExchangeError, type ExchangeLimits, type ExchangeRequest } from './exchange.ts'

export interface GetOptions extends Pick<ExchangeRequest, 'lookup' | 'secureContext'> {
  readonly accept: string
}

export async function get(url: string, limits: ExchangeLimits, options: GetOptions): Promise<Buffer> {
  const { accept, ...connection } = options
  const { status, body } = await exchange(url, { headers: { accept }, ...connection }, limits)
  if (status !== 200) throw new ExchangeError(url, new Error(`status ${status}`))
  return body
}

export async function getJson(url: string, limits: ExchangeLimits): Promise<unknown> {
  const body = await get(url, limits, { accept: 'application/json' })
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch (error) {
    throw new ExchangeError(url, error)
  }
}
