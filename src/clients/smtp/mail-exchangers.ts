/** Which addresses to try, in which order (RFC 5321 §5.1): MX by preference, equal ones shuffled; without MX the host itself.
 *  Knows:  null MX (RFC 7505), the check whether a best MX is this machine, addresses that DNS must not send us to,
 *          limits on how many are looked at.
 *  Never:  connects.
 *  Fails:  gives the message report in qmail-remote's words. */
import { domainToASCII } from 'node:url'
import { type ByteString, toBuffer, toText } from '../../base/byte-string.ts'
import { remoteTexts } from '../../protocols/qmail/remote-texts.ts'
import { type Relay, smtpPort } from '../../protocols/qmail/smtproutes.ts'
import { type Random, shuffled } from '../../system/random.ts'
import { type Answer, asHostName, type Dns, type MailExchanger } from '../dns/dns.ts'
import { isOwnAddress, isReachableAddress, parseLiteral } from './addresses.ts'

export interface Target {
  /** IPv4 or IPv6, in canonical form. */
  readonly address: string
  readonly port: number
  /** The MX's or relay's name, by which its certificate is checked; the address itself where there is no name. */
  readonly name: string
}

export type Targets =
  | { readonly kind: 'targets'; readonly targets: readonly Target[] }
  | { readonly kind: 'failed'; readonly report: ByteString }

export const exchangersMax = 20
export const addressesTriedMax = 8

interface Candidate {
  readonly target: Target
  readonly preference: number
}

export class MailExchangers {
  private readonly dns: Dns
  private readonly random: Random
  private readonly ownAddresses: () => ReadonlySet<string>

  constructor(dns: Dns, random: Random, ownAddresses: () => ReadonlySet<string>) {
    this.dns = dns
    this.random = random
    this.ownAddresses = ownAddresses
  }

  /** A route is the admin's word: no MX, no check against our own addresses, loopback allowed. */
  async ofRelay(relay: Relay): Promise<Targets> {
    const literal = parseLiteral(relay.host)
    if (literal !== undefined) return found([{ address: literal, port: relay.port, name: literal }])
    const name = asHostName(relay.host)
    const answer: Answer<string> = name === undefined ? { kind: 'hard' } : await this.dns.addresses(name)
    if (answer.kind === 'none') return failed(remoteTexts.noAddress)
    // A relay that does not exist is our mistake, not the recipient's: unlike qmail's, this mail waits.
    if (answer.kind !== 'found' || name === undefined) return failed(remoteTexts.noHostNow)
    return found(answer.values.map((address) => ({ address, port: relay.port, name })))
  }

  /** The domain of an address: a name, or a literal with or without brackets. */
  async ofDomain(domain: ByteString): Promise<Targets> {
    const literal = parseLiteral(domain)
    if (literal !== undefined) return this.checked([candidate(literal, literal, 0)], false)
    const name = asHostName(asciiForm(domain))
    if (name === undefined) return failed(remoteTexts.noSuchHost(domain))
    const exchangers = await this.dns.mx(name)
    if (exchangers.kind === 'soft') return failed(remoteTexts.noHostNow)
    if (exchangers.kind === 'found') return this.ofExchangers(domain, exchangers.values)
    const addresses = await this.dns.addresses(name)
    if (addresses.kind === 'soft') return failed(remoteTexts.noHostNow)
    if (addresses.kind === 'hard') return failed(remoteTexts.noSuchHost(domain))
    if (addresses.kind === 'none') return failed(remoteTexts.noAddress)
    return this.checked(
      addresses.values.map((address) => candidate(address, name, 0)),
      false,
    )
  }

  private async ofExchangers(domain: ByteString, records: readonly MailExchanger[]): Promise<Targets> {
    if (records.length === 1 && (records[0]?.name === '' || records[0]?.name === '.'))
      return failed(remoteTexts.nullMx(domain))
    const ordered = shuffled(this.random, records)
      .sort((a, b) => a.preference - b.preference)
      .slice(0, exchangersMax)
    const lists = await Promise.all(ordered.map((record) => this.addressesOf(record)))
    const soft = lists.some((list) => list === undefined)
    return this.checked(
      lists.flatMap((list) => list ?? []),
      soft,
    )
  }

  /** Undefined: not known now. */
  private async addressesOf({ name, preference }: MailExchanger): Promise<Candidate[] | undefined> {
    const hostName = asHostName(name)
    if (hostName === undefined) return []
    const answer = await this.dns.addresses(hostName)
    if (answer.kind === 'soft') return undefined
    if (answer.kind !== 'found') return []
    return answer.values.map((address) => candidate(address, hostName, preference))
  }

  /** Ourselves and all that are no better than we are drop out: mail to them would come back. */
  private checked(candidates: readonly Candidate[], soft: boolean): Targets {
    if (candidates.length === 0) return failed(soft ? remoteTexts.noHostNow : remoteTexts.noAddress)
    const own = this.ownAddresses()
    const ours = candidates.filter(({ target }) => isOwnAddress(target.address, own))
    const best = Math.min(...ours.map(({ preference }) => preference))
    const better = candidates.filter(({ preference }) => preference < best)
    if (better.length === 0) return failed(remoteTexts.ambiguousMx)
    const reachable = better.filter(({ target }) => isReachableAddress(target.address))
    if (reachable.length === 0) return failed(soft ? remoteTexts.noHostNow : remoteTexts.noAddress)
    return found(reachable.map(({ target }) => target))
  }
}

function candidate(address: string, name: string, preference: number): Candidate {
  return { target: { address, port: smtpPort, name }, preference }
}

function found(targets: readonly Target[]): Targets {
  return { kind: 'targets', targets: targets.slice(0, addressesTriedMax) }
}

function failed(report: ByteString): Targets {
  return { kind: 'failed', report }
}

/** A UTF-8 domain as DNS knows it (RFC 5891); a name that has no such form comes back as it was, and is refused later. */
function asciiForm(domain: ByteString): ByteString {
  if (!/[\x80-\xff]/.test(domain)) return domain
  const text = toText(domain)
  return toBuffer(domain).equals(Buffer.from(text, 'utf8')) ? domainToASCII(text) : domain
}
