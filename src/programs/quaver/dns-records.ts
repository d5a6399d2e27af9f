/** The DNS records that a hosted domain should have: what others need to send to it and what mail programs look for.
 *  Only what holds today is in it. Never: asks DNS. */
import { parseIp } from '../../protocols/qmail/ip-key.ts'
import { zoneStrings } from '../../protocols/dkim/key-text.ts'
import type { ShownKey } from './dkim-key.ts'
import { type MailService, mailServices } from './mail-services.ts'

export interface DnsRecord {
  /** Without the dot at its end. */
  readonly name: string
  readonly type: 'A' | 'AAAA' | 'MX' | 'TXT' | 'SRV' | 'TLSA'
  readonly value: string
  /** Why it is there, or what to think of; empty if nothing. */
  readonly note: string
  /** Right only where something else is so, which the note says: it stands in the zone as a comment. */
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
  /** By which receivers verify what is signed: of all domains. */
  readonly keys: readonly Pick<ShownKey, 'domain' | 'name' | 'record' | 'signs'>[]
}

const secondsToLive = 3600

/** Of the host itself. */
export function hostRecords({ host, addresses, relay }: Pick<HostFacts, 'host' | 'addresses' | 'relay'>): DnsRecord[] {
  const records: DnsRecord[] = publicAddresses(addresses).map((value) => {
    return { name: host, type: value.includes(':') ? 'AAAA' : 'A', value, note: 'its reverse name must be this one' }
  })
  const note = 'for bounces, whose sender is empty: receivers look at the name in EHLO'
  return [...records, { name: host, type: 'TXT', value: spf(host, host, relay), note }]
}

/** Of control/srs_domain: who is forwarded mail asks whether we may send as it, and sends bounces to it. */
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
    {
      name: `_dmarc.${domain}`,
      type: 'TXT',
      value: '"v=DMARC1; p=none"',
      note: 'large receivers want one; this asks nothing of them',
    },
    ...offered,
    ...others.map((name, at) =>
      srv(name, domain, '0 0 0 .', at === 0 ? 'not offered (RFC 6186): mail programs need not try' : ''),
    ),
  ]
}

function keyRecord({ name, record, signs }: HostFacts['keys'][number]): DnsRecord {
  const note = signs ? 'receivers verify our signatures by it' : 'the next key: published now, it can be used at once'
  return { name, type: 'TXT', value: zoneStrings(record), note }
}

export function zoneLine({ name, type, value, isOptional }: DnsRecord): string {
  return `${isOptional === true ? '; ' : ''}${name}. ${secondsToLive} IN ${type} ${value}`
}

/** With a relay, whose addresses we do not know, nobody else is ruled out. */
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
