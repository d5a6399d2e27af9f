/** The policy that we publish for a domain (MTA-STS, RFC 8461 §3.2): senders that have seen it deliver over verified TLS, to the
 *  exchangers in it alone.
 *  Knows:  the line of control/mtasts, `mode[:max_age[:mx,mx]]`. Never: fetches one. */
import { formatPolicy, maxAgeSecondsMax, type StsMode } from './policy.ts'

export interface PublishedPolicy {
  readonly mode: StsMode
  /** Seconds. */
  readonly maxAge: number
  /** Beside this host: backups; `*.example.net` stands for one label. */
  readonly exchangers: readonly string[]
}

export const policyPath = '/.well-known/mta-sts.txt'
export const policyForm =
  'domain:testing, :enforce or :none, then :seconds of its life, then :other exchangers with commas'

const exchangerPattern = /^(?:\*\.)?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+$/
/** A mistake in a policy that is enforced lasts as long as senders remember it. */
const maxAgeUsual = { testing: 86_400, enforce: 604_800, none: 86_400 } as const

/** Undefined: it is none. */
export function readPublishedPolicy(text: string): PublishedPolicy | undefined {
  const [mode, life = '', others = '', ...rest] = text.split(':')
  if ((mode !== 'testing' && mode !== 'enforce' && mode !== 'none') || rest.length > 0) return undefined
  const maxAge = life === '' ? maxAgeUsual[mode] : /^\d{1,8}$/.test(life) ? Number(life) : Number.NaN
  const exchangers = others === '' ? [] : others.split(',').map((one) => one.trim().toLowerCase())
  const areNames = exchangers.every((one) => one.length <= 253 && exchangerPattern.test(one))
  return maxAge <= maxAgeSecondsMax && areNames ? { mode, maxAge, exchangers } : undefined
}

/** Where senders look for a domain's policy, and what the certificate there must have. */
export function policyHost(domain: string): string {
  return `mta-sts.${domain}`
}

/** The file. `host`: this one, an exchanger of the domain. */
export function policyText({ mode, maxAge, exchangers }: PublishedPolicy, host: string): string {
  return formatPolicy({ mode, maxAgeSeconds: maxAge, mx: [host, ...exchangers] })
}
