/** Whether and how a connection is encrypted, and who must vouch for the other side: opportunistic and unverified unless more
 *  is demanded.
 *  Knows:  in which order demands count: tlshosts/, notlshosts/, exhaustivelist, a smarthost's password (the administrator's
 *          word), DANE (RFC 7672), MTA-STS (RFC 8461), REQUIRETLS (RFC 8689).
 *  Never:  reads a file, asks the DNS. */
import type { UsableTlsa } from '../../protocols/dane/tlsa.ts'
import { smtpsPort } from '../../protocols/qmail/smtproutes.ts'
import type { Target } from './mail-exchangers.ts'

/** What the control directory says of one host. */
export interface TlsFacts {
  /** tlshosts/NAME.pem: the CA certificates that must have signed this host's. */
  readonly hostCaPem: string | undefined
  /** tlshosts/exhaustivelist: no TLS but with hosts that have such a file. */
  readonly exhaustive: boolean
  /** notlshosts/NAME. */
  readonly forbidden: boolean
  /** clientcert.pem: certificate and key that we show. */
  readonly clientPem: string | undefined
}

/** What others have published about a host. */
export type HostPolicy =
  | { readonly kind: 'none' }
  /** `domain`: whose policy it is. */
  | { readonly kind: 'sts'; readonly domain: string; readonly mode: 'enforce' | 'testing' }
  /** No usable records: TLS without a voucher (RFC 7672 §2.2). `names`: one must be in a certificate of usage 2. */
  | { readonly kind: 'dane'; readonly records: readonly UsableTlsa[]; readonly names: readonly string[] }

export const noHostPolicy: HostPolicy = { kind: 'none' }

/** Who vouches for the other side. */
export type Voucher =
  | { readonly kind: 'nobody' }
  /** Undefined: the authorities of this machine. */
  | { readonly kind: 'authorities'; readonly pem: string | undefined }
  | { readonly kind: 'tlsa'; readonly records: readonly UsableTlsa[]; readonly names: readonly string[] }

export interface TlsPlan {
  readonly use: 'never' | 'opportunistic' | 'required'
  readonly voucher: Voucher
  /** A certificate that the voucher does not vouch for is reported, and mail still goes. */
  readonly isOnlyReported: boolean
  /** TLS before the greeting. */
  readonly implicit: boolean
  readonly clientPem: string | undefined
  /** What demands it, for a person; empty: the administrator. A published policy may be met by another exchanger. */
  readonly demandedBy: string
}

const nobody: Voucher = { kind: 'nobody' }
const machine: Voucher = { kind: 'authorities', pem: undefined }

export function planTls(
  target: Target,
  facts: TlsFacts,
  needs: { readonly login: boolean; readonly requireTls: boolean },
  policy: HostPolicy,
): TlsPlan {
  const implicit = target.port === smtpsPort
  const same = { implicit, clientPem: facts.clientPem, isOnlyReported: false, demandedBy: '' }
  const { hostCaPem } = facts
  const required = (voucher: Voucher, demandedBy = ''): TlsPlan => ({ ...same, use: 'required', voucher, demandedBy })
  if (hostCaPem !== undefined) return required({ kind: 'authorities', pem: hostCaPem })
  if (needs.login) return required(machine)
  const isUnwanted = facts.forbidden || facts.exhaustive
  if (isUnwanted && !needs.requireTls) return { ...same, use: implicit ? 'required' : 'never', voucher: nobody }
  if (policy.kind === 'dane') {
    const { records, names } = policy
    if (records.length > 0) return required({ kind: 'tlsa', records, names }, `DANE for ${target.name}`)
    return required(needs.requireTls ? machine : nobody, `DANE for ${target.name}`)
  }
  if (policy.kind === 'sts' && policy.mode === 'enforce')
    return required(machine, `the MTA-STS policy of ${policy.domain}`)
  if (needs.requireTls) return required(machine, 'REQUIRETLS')
  if (implicit) return required(nobody)
  if (policy.kind === 'sts') return { ...same, use: 'opportunistic', voucher: machine, isOnlyReported: true }
  return { ...same, use: 'opportunistic', voucher: nobody }
}

/** Plans that are equal here may share a connection. */
export function planKey(plan: TlsPlan): string {
  const { use, voucher, isOnlyReported, implicit, clientPem = '' } = plan
  return `${use} ${voucherKey(voucher)} ${isOnlyReported} ${implicit} ${clientPem}`
}

export function voucherKey(voucher: Voucher): string {
  if (voucher.kind === 'nobody') return ''
  if (voucher.kind === 'authorities') return `authorities ${voucher.pem ?? 'machine'}`
  const records = voucher.records.map(({ usage, selector, matching, data }) => {
    return `${usage}${selector}${matching}${Buffer.from(data).toString('base64')}`
  })
  return `tlsa ${records.toSorted().join(',')} ${voucher.names.join(',')}`
}
