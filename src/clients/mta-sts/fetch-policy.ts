/** The policy file of a domain (RFC 8461 §3.3): by HTTPS from `mta-sts.DOMAIN`, whose certificate must be good for that name.
 *  Never:  follows a redirect, connects to an address to which a name server must not steer us.
 *  Fails:  with a text, and the kind of failure in the words of TLS reports (RFC 8460 §4.3). */
import type { LookupFunction } from 'node:net'
import type { SecureContext } from 'node:tls'
import { fromBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { parsePolicy, type StsPolicy } from '../../protocols/mta-sts/policy.ts'
import type { FailureType } from '../../protocols/tlsrpt/day.ts'
import type { Addresses } from '../dns/dns.ts'
import { ExchangeError, type ExchangeLimits } from '../https/exchange.ts'
import { get } from '../https/get.ts'

/** §3.3 suggests a minute and 64 KiB. A delivery waits for it: half of that must do. */
const limits: ExchangeLimits = { bytesMax: 64 * 1024, millisecondsMax: 30_000 }

export interface PolicyWeb {
  addresses(name: string): Promise<Addresses>
  isReachable(address: string): boolean
  /** With the trusted authorities. */
  readonly context: () => SecureContext
  /** 443 but in tests. */
  readonly port?: number
}

export type FetchedPolicy =
  | { readonly kind: 'policy'; readonly policy: StsPolicy; readonly text: string }
  | { readonly kind: 'failed'; readonly why: string; readonly type: PolicyFailure }

export type PolicyFailure = Extract<FailureType, `sts-${string}`>

/** `domain` is a host name as asHostName gives it. */
export async function fetchPolicy(domain: string, web: PolicyWeb): Promise<FetchedPolicy> {
  const port = web.port === undefined ? '' : `:${web.port}`
  const host = `mta-sts.${domain}`
  const url = `https://${host}${port}/.well-known/mta-sts.txt`
  try {
    const options = { accept: 'text/plain', lookup: await lookUp(host, web), secureContext: web.context() }
    const text = fromBuffer(await get(url, limits, options))
    const parsed = parsePolicy(text)
    if (parsed.kind === 'policy') return { ...parsed, text }
    return { kind: 'failed', type: 'sts-policy-invalid', why: `${url}: ${parsed.why}` }
  } catch (error) {
    const isCertificate = error instanceof ExchangeError && error.isCertificate
    return {
      kind: 'failed',
      type: isCertificate ? 'sts-webpki-invalid' : 'sts-policy-fetch-error',
      why: describeError(error),
    }
  }
}

/** By the same name servers as all mail, not those of the C library. */
async function lookUp(name: string, web: PolicyWeb): Promise<LookupFunction> {
  const answer = await web.addresses(name)
  const found = answer.kind === 'found' ? answer.values.filter((address) => web.isReachable(address)) : []
  const all = found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  const [first] = all
  if (first === undefined)
    throw new Error(`${name}: ${answer.kind === 'soft' ? answer.why : 'it has no address that may be asked'}`)
  return (_, options, callback) => {
    if (options.all === true) callback(null, all)
    else callback(null, first.address, first.family)
  }
}
