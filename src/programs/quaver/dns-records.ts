/** The DNS records that a hosted domain should have: those that other servers need to send to it, and those that mail programs
 *  look up. Only records that are true now. Never: asks DNS. */
import { createHash } from 'node:crypto'
import { policyHost } from '../../protocols/mta-sts/published-policy.ts'
import { parseIp } from '../../protocols/qmail/ip-key.ts'
import { zoneStrings } from '../../protocols/dkim/key-text.ts'
import { domainOf } from '../../protocols/reports/plain-address.ts'
import type { ShownKey } from './dkim-key.ts'
import { type MailService, mailServices } from './mail-services.ts'

export interface DnsRecord {
  /** Without the dot at its end. */
  readonly name: string
  readonly type: 'A' | 'AAAA' | 'MX' | 'TXT' | 'SRV' | 'CAA' | 'CNAME' | 'TLSA'
  readonly value: string
  /** Its purpose, or what to consider; empty if nothing. */
  readonly note: string
  /** Right only under a condition, which the note names: it appears in the zone as a comment. */
  readonly isOptional?: true
}

export interface HostFacts {
  readonly host: string
  /** Of the machine's interfaces. */
  readonly addresses: readonly string[]
  /** All mail leaves through another host (smtproutes). */
  readonly relay: string | undefined
  /** What mail programs find here. */
  readonly services: readonly MailService[]
  /** Keys by which receivers verify signatures, of all domains. */
  readonly keys: readonly Pick<ShownKey, 'domain' | 'name' | 'record' | 'signs'>[]
  /** The address that takes reports about our domains; undefined: none. */
  readonly reportAddress: string | undefined
}

const secondsToLive = 3600
/** At most 32 (§3.1). */
const policyIdLength = 20

/** Of the host itself. */
export function hostRecords({ host, addresses, relay }: Pick<HostFacts, 'host' | 'addresses' | 'relay'>): DnsRecord[] {
  const records: DnsRecord[] = publicAddresses(addresses).map((value) => {
    return { name: host, type: value.includes(':') ? 'AAAA' : 'A', value, note: 'its reverse name must be this one' }
  })
  const note = 'for bounces, whose sender is empty: receivers look at the name in EHLO'
  return [...records, { name: host, type: 'TXT', value: spf(host, host, relay), note }]
}

/** `names`: of the certificate that an authority gives us by ACME; `authorities`: as it is called there (RFC 8659). */
export function caaRecords(names: readonly string[], authorities: readonly string[]): DnsRecord[] {
  const note = 'no other authority may certify it'
  return names.flatMap((name) =>
    authorities.map((authority): DnsRecord => ({ name, type: 'CAA', value: `0 issue "${authority}"`, note })),
  )
}

/** Says that the domain has a policy of MTA-STS (RFC 8461 §3.1). `text`: the policy, whose change senders see by its id. */
export function policyRecord(domain: string, text: string): Pick<DnsRecord, 'name' | 'type' | 'value'> {
  const id = createHash('sha256').update(text).digest('hex').slice(0, policyIdLength)
  return { name: `_mta-sts.${domain}`, type: 'TXT', value: `"v=STSv1; id=${id};"` }
}

/** Of a policy that this host publishes. */
export function policyRecords(domain: string, host: string, text: string): DnsRecord[] {
  const note = 'senders that have seen it deliver over verified TLS; the one below leads to it'
  return [
    { ...policyRecord(domain, text), note },
    { name: policyHost(domain), type: 'CNAME', value: `${host}.`, note: '' },
  ]
}

/** Of control/srs_domain: receivers of forwarded mail check its SPF, and send bounces to it. */
export function srsRecords(domain: string, { host, relay }: Pick<HostFacts, 'host' | 'relay'>): DnsRecord[] {
  return [
    { name: domain, type: 'MX', value: `10 ${host}.`, note: 'for bounces to senders of forwards (control/srs_domain)' },
    ...(domain === host ? [] : [{ name: domain, type: 'TXT', value: spf(domain, host, relay), note: '' } as const]),
  ]
}

/** Addresses of the machine that others cannot reach. */
export function privateAddresses(addresses: readonly string[]): string[] {
  return addresses.filter((text) => rangeOf(text) === 'private' || rangeOf(text) === 'uniqueLocal' || isShared(text))
}

export function domainRecords(domain: string, facts: HostFacts): DnsRecord[] {
  const { host, relay } = facts
  const offered = facts.services.map(({ name, port, security }): DnsRecord => {
    const priority = security === 'TLS' ? 0 : 10
    return srv(name, domain, `${priority} 1 ${port} ${host}.`, '')
  })
  const isOffered = (name: string): boolean => facts.services.some((service) => service.name === name)
  const others = [...new Set([...mailServices.map(({ name }) => name), 'imaps', 'imap'])].filter(
    (name) => !isOffered(name),
  )
  const relayNote = relay === undefined ? '' : `your mail leaves through ${relay}: put into it what its owner says`
  const sender: DnsRecord = { name: domain, type: 'TXT', value: spf(domain, host, relay), note: relayNote }
  return [
    { name: domain, type: 'MX', value: `10 ${host}.`, note: '' },
    // The host's own record says it already.
    ...(domain === host ? [] : [sender]),
    ...facts.keys.filter((key) => key.domain === domain).map(keyRecord),
    ...dmarcRecords(domain, facts.reportAddress),
    ...offered,
    ...others.map((name, at) =>
      srv(name, domain, '0 0 0 .', at === 0 ? 'not offered (RFC 6186): mail programs need not try' : ''),
    ),
  ]
}

/** RFC 9990 §4: a receiver of reports about another's domain must publish its consent, so that no mailbox is flooded. */
function dmarcRecords(domain: string, address: string | undefined): DnsRecord[] {
  const rua = address === undefined ? '' : `; rua=mailto:${address}`
  const asks = address === undefined ? 'this asks nothing of them' : "this asks for reports ('quaver dmarc reports')"
  const note = `large receivers want one; ${asks}`
  const policy: DnsRecord = { name: `_dmarc.${domain}`, type: 'TXT', value: `"v=DMARC1; p=none${rua}"`, note }
  const taker = address === undefined ? domain : domainOf(address)
  if (taker === domain || taker.endsWith(`.${domain}`)) return [policy]
  const name = `${domain}._report._dmarc.${taker}`
  return [policy, { name, type: 'TXT', value: '"v=DMARC1"', note: `reports about ${domain} may go to ${taker}` }]
}

function keyRecord({ name, record, signs }: HostFacts['keys'][number]): DnsRecord {
  const note = signs ? 'receivers verify our signatures by it' : 'the next key: published now, it can be used at once'
  return { name, type: 'TXT', value: zoneStrings(record), note }
}

export function zoneLine({ name, type, value, isOptional }: DnsRecord): string {
  return `${isOptional === true ? '; ' : ''}${name}. ${secondsToLive} IN ${type} ${value}`
}

/** With a relay, whose addresses we do not know, no other sender is excluded. */
function spf(name: string, host: string, relay: string | undefined): string {
  const own = name === host ? 'a' : 'mx'
  return relay === undefined ? `"v=spf1 ${own} ${name === host ? '-all' : '~all'}"` : `"v=spf1 ${own} ?all"`
}

function srv(service: string, domain: string, value: string, note: string): DnsRecord {
  return { name: `_${service}._tcp.${domain}`, type: 'SRV', value, note }
}

/** Addresses of the machine under which others reach it. */
export function publicAddresses(addresses: readonly string[]): string[] {
  return addresses.filter((text) => rangeOf(text) === 'unicast')
}

function isShared(text: string): boolean {
  return rangeOf(text) === 'carrierGradeNat'
}

function rangeOf(text: string): string {
  return parseIp(text)?.range() ?? ''
}
