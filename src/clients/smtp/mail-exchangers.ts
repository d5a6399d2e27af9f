/** Which addresses to try, in which order (RFC 5321 §5.1): MX by preference, equal ones shuffled; without MX the host itself.
 *  Knows:  null MX (RFC 7505), the check whether a best MX is this machine, addresses that DNS must not send us to.
 *  Never:  connects; fails for good while one of the answers is missing.
 *  Fails:  gives the status in qmail-remote's words. */
import { type ByteString, toText } from '../../base/byte-string.ts'
import type { Status } from '../../base/outcome.ts'
import { nameServerSays } from '../../contracts/troubles.ts'
import { remoteStatus } from '../../protocols/qmail/remote-status.ts'
import { type Relay, smtpPort } from '../../protocols/qmail/smtproutes.ts'
import { type Random, shuffled } from '../../system/random.ts'
import { asciiForm } from '../../system/ascii-form.ts'
import { type Addresses, type Answer, asHostName, type Dns, type MailExchanger } from '../dns/dns.ts'
import { isReachableAddress, parseLiteral } from './addresses.ts'
import { chooseTargets } from './target-choice.ts'

export interface Target {
  /** IPv4 or IPv6, in canonical form. */
  readonly address: string
  readonly port: number
  /** The MX's or relay's name, by which its certificate is checked; the address itself where there is no name. */
  readonly name: string
  /** DNSSEC proves that this is an exchanger of the domain. Absent: the answer may be forged. `tlsaHosts`:
   *  under which names TLSA records are looked for, in this order; none where the addresses are not certain. */
  readonly secured?: { readonly tlsaHosts: readonly string[] }
}

export type Targets =
  | { readonly kind: 'targets'; readonly targets: readonly Target[] }
  | { readonly kind: 'failed'; readonly status: Status }

export const exchangersMax = 20

/** An exchanger, and what is known of its addresses. */
interface Exchanger {
  readonly preference: number
  readonly targets: readonly Target[]
  /** More addresses may be known later. */
  readonly isPart: boolean
  /** Why none is known now; empty: not asked, or answered. */
  readonly why: string
}

export interface MailExchangerParts {
  readonly dns: Dns
  readonly random: Random
  isOurs(address: string): boolean
  /** Known not to answer. */
  isDead(address: string): boolean
}

export class MailExchangers {
  private readonly parts: MailExchangerParts

  constructor(parts: MailExchangerParts) {
    this.parts = parts
  }

  /** A route is the admin's word: no MX, no check against our own addresses, loopback allowed. */
  async ofRelay(relay: Relay): Promise<Targets> {
    const literal = parseLiteral(relay.host)
    if (literal !== undefined) return this.found([{ address: literal, port: relay.port, name: literal }])
    const name = asHostName(relay.host)
    const answer: Addresses = name === undefined ? { kind: 'hard' } : await this.parts.dns.addresses(name)
    // A relay that does not exist, or has no address, is our mistake, not the recipient's: unlike qmail's, this mail waits.
    if (answer.kind !== 'found' || name === undefined) {
      const why = answer.kind === 'soft' ? dnsSays(answer.why) : `the relay ${toText(relay.host)} has no address`
      return failed(remoteStatus.noHostNow, why)
    }
    return this.found(answer.values.map((address) => ({ address, port: relay.port, name })))
  }

  /** The domain of an address: a name, or a literal with or without brackets. */
  async ofDomain(domain: ByteString): Promise<Targets> {
    const literal = parseLiteral(domain)
    if (literal !== undefined) return this.checked([exchanger(0, literal, [literal])])
    const name = asHostName(asciiForm(domain))
    if (name === undefined) return failed(remoteStatus.noSuchHost(domain))
    const records = await this.parts.dns.mx(name)
    if (records.kind === 'soft') return failed(remoteStatus.noHostNow, dnsSays(records.why))
    if (records.kind === 'found') return this.ofExchangers(domain, records)
    const addresses = await this.parts.dns.addresses(name)
    if (addresses.kind === 'soft') return failed(remoteStatus.noHostNow, dnsSays(addresses.why))
    if (addresses.kind === 'hard') return failed(remoteStatus.noSuchHost(domain))
    if (addresses.kind === 'none') return failed(remoteStatus.noAddress)
    return this.checked([exchanger(0, name, addresses.values, addresses.isPart, securedBy(name, addresses, addresses))])
  }

  private async ofExchangers(domain: ByteString, answer: Found<MailExchanger>): Promise<Targets> {
    const records = answer.values
    if (records.length === 1 && (records[0]?.name === '' || records[0]?.name === '.'))
      return failed(remoteStatus.nullMx(domain))
    const ordered = shuffled(this.parts.random, records)
      .sort((a, b) => a.preference - b.preference)
      .slice(0, exchangersMax)
    return this.checked(await Promise.all(ordered.map((record) => this.exchangerOf(record, answer))))
  }

  private async exchangerOf({ name, preference }: MailExchanger, records: Found<MailExchanger>): Promise<Exchanger> {
    // Not a name, but what was meant is clear, and qmail delivers there.
    const literal = parseLiteral(name.endsWith('.') ? name.slice(0, -1) : name)
    if (literal !== undefined) return exchanger(preference, literal, [literal])
    const hostName = asHostName(name)
    if (hostName === undefined) return exchanger(preference, name, [])
    const answer = await this.parts.dns.addresses(hostName)
    if (answer.kind === 'soft') return { ...exchanger(preference, hostName, [], true), why: dnsSays(answer.why) }
    return answer.kind === 'found'
      ? exchanger(preference, hostName, answer.values, answer.isPart, securedBy(hostName, records, answer))
      : exchanger(preference, hostName, [])
  }

  /** Drops this host, and all exchangers that are no better: mail to them would come back. */
  private checked(exchangers: readonly Exchanger[]): Targets {
    const ours = exchangers.filter(({ targets }) => targets.some(({ address }) => this.parts.isOurs(address)))
    const oursBest = Math.min(...ours.map(({ preference }) => preference))
    const better = exchangers.filter(({ preference }) => preference < oursBest)
    // Only the best of the whole list is meant to know the domain; for the others we are the backup, and keep the mail.
    if (better.length === 0) return failed(remoteStatus.ambiguousMx)
    const reachable = better.flatMap(({ targets }) => targets.filter(({ address }) => isReachableAddress(address)))
    if (reachable.length > 0) return this.found(reachable)
    const mayBeKnownLater = ours.length > 0 || better.some(({ isPart }) => isPart)
    if (!mayBeKnownLater) return failed(remoteStatus.noAddress)
    return failed(remoteStatus.noHostNow, better.find(({ why }) => why !== '')?.why)
  }

  private found(targets: readonly Target[]): Targets {
    return { kind: 'targets', targets: chooseTargets(targets, (address) => this.parts.isDead(address)) }
  }
}

function exchanger(
  preference: number,
  name: string,
  addresses: readonly string[],
  isPart = false,
  secured?: Target['secured'],
): Exchanger {
  const known = secured === undefined ? { port: smtpPort, name } : { port: smtpPort, name, secured }
  return { preference, isPart, why: '', targets: addresses.map((address) => ({ address, ...known })) }
}

type Found<T> = Extract<Answer<T>, { kind: 'found' }>

/** RFC 7672 §2.2.2: records at the name behind all aliases come first, then those at the name itself. */
function securedBy(name: string, exchangers: Answer<unknown>, addresses: Addresses): Target['secured'] {
  if (exchangers.isSecure !== true) return undefined
  if (addresses.isSecure !== true) return { tlsaHosts: [] }
  return { tlsaHosts: [...new Set([addresses.canonicalName ?? name, name])] }
}

/** `logText`: what the name server said. */
function failed(status: Status, logText = ''): Targets {
  return { kind: 'failed', status: { ...status, logText } }
}

function dnsSays(why: string): string {
  return `${nameServerSays}${why}`
}
