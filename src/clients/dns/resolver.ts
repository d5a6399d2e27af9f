/** The system's resolvers, or those named, through c-ares: UDP, and TCP when an answer was truncated. Where their word on
 *  DNSSEC is trusted, questions for exchangers and addresses go through our own stub, which reads it.
 *  Knows:  a small cache, one query for many callers with the same question, time limits. Addresses are kept for their TTL;
 *          for other records, and for absent ones, the resolver tells none.
 *  Never:  asks for a name that no host can have.
 *  Fails:  every trouble is `soft`; only NXDOMAIN is `hard`. */
import ipaddr from 'ipaddr.js'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { Trouble } from '../../contracts/troubles.ts'
import { type Clock, DeadlineError, within } from '../../system/clock.ts'
import type { TlsaRecord } from '../../protocols/dane/tlsa.ts'
import { errorCode } from '../../system/files.ts'
import { realRandom } from '../../system/random.ts'
import { Channels, type QueryLimits, saysNothingIsThere } from './channels.ts'
import type { Addresses, Answer, Dns, MailExchanger, RecordDns, TlsaDns } from './dns.ts'
import { findCanonicalName, Stub, type StubAnswer, StubError } from './stub.ts'

/** Where the resolver tells no TTL. */
const cachedMilliseconds = 60_000
/** A longer TTL is cut: a mistake in a zone should not outlive the day's work. */
const ttlSecondsMax = 3_600
/** Trouble is remembered just long enough to answer a burst. */
const softCachedMilliseconds = 5_000
const cacheEntriesMax = 10_000
/** One question may be lost on its way. */
const unansweredMin = 2
const answerMillisecondsMax = 30_000
/** Of one answer; RFC 5321 sets no limit; a hostile zone must not choose it. */
const valuesMax = 100
/** Of TXT: all that an answer can hold. One that is wanted may stand after those of a hundred others. */
const textsMax = 5_000
/** A longer TXT record is cut: nothing that we look for is longer. */
export const txtBytesMax = 8_192
/** TXT records make the only large answers. */
const cachedTextBytesMax: number = 8 * 1024 * 1024

interface Records<T> {
  readonly values: readonly T[]
  readonly ttlSeconds?: number
  readonly countMax?: number
  readonly isSecure?: boolean
  readonly canonicalName?: string
}

interface Cached {
  readonly answer: Promise<Answer<unknown>>
  until: number
  textBytes: number
}

const deliveryQueryLimits: QueryLimits = { queryMilliseconds: 5_000, triesMax: 3 }

/** Whether this name server is trusted when it says that an answer was verified (the AD bit). */
export type TrustedServers = (server: string) => boolean

export class SystemDns implements Dns, RecordDns, TlsaDns {
  private readonly clock: Clock
  private readonly channels: Channels
  private cachedTextBytes = 0
  private readonly cache = new Map<string, Cached>()
  /** Questions in a row. */
  private unanswered = 0
  private lastFailure = ''
  private readonly stub: Stub
  private readonly isTrusted: TrustedServers

  /** `servers`: address or address:port, `[v6]:port`; empty means the system's. Throws if one is malformed. `isTrusted`: the
   *  servers whose word on DNSSEC is trusted; without any, no answer is secure. */
  constructor(
    clock: Clock,
    servers: readonly string[] = [],
    queryLimits: QueryLimits = deliveryQueryLimits,
    isTrusted: TrustedServers = () => false,
  ) {
    this.clock = clock
    this.channels = new Channels(() => clock.monotonic(), servers, queryLimits)
    this.stub = new Stub(clock, realRandom, () => this.servers(), queryLimits)
    this.isTrusted = isTrusted
  }

  /** The name servers that are asked. */
  servers(): readonly string[] {
    return this.channels.servers()
  }

  /** All of them are trusted: one that is not could be the one that answers. */
  get knowsDnssec(): boolean {
    const servers = this.servers()
    return servers.length > 0 && servers.every((server) => this.isTrusted(server))
  }

  mx(name: string): Promise<Answer<MailExchanger>> {
    return this.remember(`mx ${name}`, async () => {
      if (this.knowsDnssec) return exchangerRecords(await this.stub.ask(name, 'MX'))
      const records = await this.channels.ask((resolver) => resolver.resolveMx(name))
      // The best first: of more than are kept, the worst go.
      const ordered = records.toSorted((one, other) => one.priority - other.priority)
      return { values: ordered.map(({ priority, exchange }) => ({ preference: priority, name: exchange })) }
    })
  }

  async addresses(name: string): Promise<Addresses> {
    const [four, six] = await Promise.all([this.a(name), this.aaaa(name)])
    const values = [four, six].flatMap((answer) => (answer.kind === 'found' ? answer.values : []))
    if (values.length > 0) {
      const found: readonly Addresses[] = [four, six].filter(({ kind }) => kind === 'found')
      const canonicalName = found.find((answer) => answer.canonicalName !== undefined)?.canonicalName
      return {
        kind: 'found',
        values,
        isPart: four.kind === 'soft' || six.kind === 'soft',
        ...(found.every(({ isSecure }) => isSecure === true) ? { isSecure: true } : {}),
        ...(canonicalName === undefined ? {} : { canonicalName }),
      }
    }
    if (four.kind === 'soft') return four
    if (six.kind === 'soft') return six
    return four.kind === 'hard' && six.kind === 'hard' ? four : { kind: 'none' }
  }

  a(name: string): Promise<Addresses> {
    return this.remember(`a ${name}`, async () =>
      this.knowsDnssec
        ? stubAddresses(name, await this.stub.ask(name, 'A'))
        : addressRecords(await this.channels.ask((resolver) => resolver.resolve4(name, { ttl: true }))),
    )
  }

  aaaa(name: string): Promise<Addresses> {
    return this.remember(`aaaa ${name}`, async () =>
      this.knowsDnssec
        ? stubAddresses(name, await this.stub.ask(name, 'AAAA'))
        : addressRecords(await this.channels.ask((resolver) => resolver.resolve6(name, { ttl: true }))),
    )
  }

  tlsa(name: string): Promise<Answer<TlsaRecord>> {
    return this.remember(`tlsa ${name}`, async () => {
      const { records, isSecure } = await this.stub.ask(name, 'TLSA')
      const values = records.flatMap((record) => (record.type === 'TLSA' ? [record.tlsa] : []))
      return { values, isSecure: isSecure && this.knowsDnssec, ttlSeconds: leastTtl(records) }
    })
  }

  txt(name: string): Promise<Answer<ByteString>> {
    return this.remember(`txt ${name}`, async () => {
      const records = await this.channels.ask((resolver) => resolver.resolveTxt(name))
      return { values: records.map((strings) => strings.join('').slice(0, txtBytesMax)), countMax: textsMax }
    })
  }

  ptr(name: string): Promise<Answer<string>> {
    return this.remember(`ptr ${name}`, async () => ({
      values: await this.channels.ask((resolver) => resolver.resolvePtr(name)),
    }))
  }

  /** While the name servers do not answer. SERVFAIL is an answer: the fault is a domain's. */
  troubles(): Trouble[] {
    if (this.unanswered < unansweredMin) return []
    const where = this.channels.servers().join(' ')
    return [{ kind: 'name-server', where, text: `${this.unanswered} questions without an answer: ${this.lastFailure}` }]
  }

  /** A caller that asks while the same question is under way waits for its answer. */
  private remember<T>(key: string, ask: () => Promise<Records<T>>): Promise<Answer<T>> {
    const now = this.clock.monotonic()
    const known = this.cache.get(key)
    if (known !== undefined && known.until > now) return known.answer as Promise<Answer<T>>
    if (this.cache.size >= cacheEntriesMax) this.forgetOldest()
    const answer = this.ask(key, ask)
    const entry: Cached = { answer, until: Number.POSITIVE_INFINITY, textBytes: 0 }
    this.forget(key)
    this.cache.set(key, entry)
    void answer.then((settled) => {
      entry.until = settled.freshUntil ?? 0
      this.weigh(key, entry, settled)
    })
    return answer
  }

  private async ask<T>(key: string, ask: () => Promise<Records<T>>): Promise<Answer<T>> {
    try {
      const records = await within(this.clock, answerMillisecondsMax, key, ask())
      const { values, ttlSeconds, countMax = valuesMax, isSecure, canonicalName } = records
      this.unanswered = 0
      const milliseconds = ttlSeconds === undefined ? cachedMilliseconds : Math.min(ttlSeconds, ttlSecondsMax) * 1000
      const freshUntil = this.clock.monotonic() + milliseconds
      if (values.length === 0) return { kind: 'none', freshUntil }
      const found = { kind: 'found', values: values.slice(0, countMax), freshUntil } as const
      const named = canonicalName === undefined ? found : { ...found, canonicalName }
      return isSecure === true ? { ...named, isSecure } : named
    } catch (error) {
      const nothing = saysNothingIsThere(error)
      const now = this.clock.monotonic()
      const code = errorCode(error)
      const isSilent = error instanceof DeadlineError || code === 'ETIMEOUT' || code === 'ECONNREFUSED'
      this.unanswered = isSilent ? this.unanswered + 1 : 0
      this.lastFailure = describeError(error)
      if (nothing !== undefined) {
        const kind = nothing === 'noName' ? 'hard' : 'none'
        const isSecure = error instanceof StubError && error.isSecure
        return { kind, freshUntil: now + cachedMilliseconds, ...(isSecure ? { isSecure } : {}) }
      }
      return { kind: 'soft', why: describeError(error), freshUntil: now + softCachedMilliseconds }
    }
  }

  private weigh(key: string, entry: Cached, answer: Answer<unknown>): void {
    if (!key.startsWith('txt ') || answer.kind !== 'found' || this.cache.get(key) !== entry) return
    entry.textBytes = answer.values.reduce<number>((sum, value) => sum + String(value).length, 0)
    this.cachedTextBytes += entry.textBytes
    while (this.cachedTextBytes > cachedTextBytesMax) this.forgetOldest()
  }

  private forgetOldest(): void {
    for (const key of this.cache.keys()) {
      this.forget(key)
      return
    }
  }

  private forget(key: string): void {
    this.cachedTextBytes -= this.cache.get(key)?.textBytes ?? 0
    this.cache.delete(key)
  }
}

function addressRecords(records: readonly { readonly address: string; readonly ttl: number }[]): Records<string> {
  return {
    values: records.map(({ address }) => address),
    ttlSeconds: Math.min(...records.map(({ ttl }) => ttl)),
  }
}

function exchangerRecords({ records, isSecure }: StubAnswer): Records<MailExchanger> {
  const values = records
    .flatMap((record) =>
      record.type === 'MX' ? [{ preference: record.preference, name: record.exchange } satisfies MailExchanger] : [],
    )
    .sort((one, other) => one.preference - other.preference)
  return { values, isSecure, ttlSeconds: leastTtl(records) }
}

function stubAddresses(name: string, { records, isSecure }: StubAnswer): Records<string> {
  const values = records.flatMap((record) =>
    record.type === 'A' || record.type === 'AAAA' ? [ipaddr.fromByteArray([...record.address]).toString()] : [],
  )
  return { values, isSecure, canonicalName: findCanonicalName(name, records), ttlSeconds: leastTtl(records) }
}

function leastTtl(records: StubAnswer['records']): number {
  return Math.min(...records.map(({ ttlSeconds }) => ttlSeconds))
}
