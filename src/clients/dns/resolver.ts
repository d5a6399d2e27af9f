/** The system's resolvers, or those named, through c-ares: UDP, and TCP when an answer was truncated.
 *  Knows:  a small cache, one query for many who ask the same, time limits. Addresses are kept for their TTL; of other
 *          records, and of what is not there, the resolver tells none.
 *  Never:  asks for a name that no host can have.
 *  Fails:  every trouble is `soft`; only NXDOMAIN is `hard`. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { Trouble } from '../../contracts/troubles.ts'
import { type Clock, DeadlineError, within } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { Channels, type QueryLimits, saysNothingIsThere } from './channels.ts'
import type { Addresses, Answer, Dns, MailExchanger, RecordDns } from './dns.ts'

/** Where the resolver tells no TTL. */
const cachedMilliseconds = 60_000
/** A longer TTL is cut: a mistake in a zone should not outlive the day's work. */
const ttlSecondsMax = 3_600
/** Trouble is remembered just long enough to answer a burst. */
const softCachedMilliseconds = 5_000
const cacheEntriesMax = 10_000
/** One may be lost on its way. */
const unansweredMin = 2
const answerMillisecondsMax = 30_000
/** Of one answer; RFC 5321 sets no limit, a hostile zone should not either. */
const valuesMax = 100
/** Of TXT: all that an answer can hold. One that is wanted may stand behind those of a hundred others. */
const textsMax = 5_000
/** A longer TXT record is cut: nothing that we look for is longer. */
export const txtBytesMax = 8_192
/** TXT records make the only large answers. */
const cachedTextBytesMax: number = 8 * 1024 * 1024

interface Records<T> {
  readonly values: readonly T[]
  readonly ttlSeconds?: number
  readonly countMax?: number
}

interface Cached {
  readonly answer: Promise<Answer<unknown>>
  until: number
  textBytes: number
}

const deliveryQueryLimits: QueryLimits = { queryMilliseconds: 5_000, triesMax: 3 }

export class SystemDns implements Dns, RecordDns {
  private readonly clock: Clock
  private readonly channels: Channels
  private cachedTextBytes = 0
  private readonly cache = new Map<string, Cached>()
  /** Questions, one after the other. */
  private unanswered = 0
  private lastFailure = ''

  /** `servers`: address or address:port, `[v6]:port`; empty means the system's. Throws if one is malformed. */
  constructor(clock: Clock, servers: readonly string[] = [], queryLimits: QueryLimits = deliveryQueryLimits) {
    this.clock = clock
    this.channels = new Channels(() => clock.monotonic(), servers, queryLimits)
  }

  mx(name: string): Promise<Answer<MailExchanger>> {
    return this.remember(`mx ${name}`, async () => {
      const records = await this.channels.ask((resolver) => resolver.resolveMx(name))
      // The best first: of more than are kept, the worst go.
      const ordered = records.toSorted((one, other) => one.priority - other.priority)
      return { values: ordered.map(({ priority, exchange }) => ({ preference: priority, name: exchange })) }
    })
  }

  async addresses(name: string): Promise<Addresses> {
    const [four, six] = await Promise.all([this.a(name), this.aaaa(name)])
    const values = [four, six].flatMap((answer) => (answer.kind === 'found' ? answer.values : []))
    if (values.length > 0) return { kind: 'found', values, isPart: four.kind === 'soft' || six.kind === 'soft' }
    if (four.kind === 'soft') return four
    if (six.kind === 'soft') return six
    return four.kind === 'hard' && six.kind === 'hard' ? four : { kind: 'none' }
  }

  a(name: string): Promise<Answer<string>> {
    return this.remember(`a ${name}`, async () =>
      addressRecords(await this.channels.ask((resolver) => resolver.resolve4(name, { ttl: true }))),
    )
  }

  aaaa(name: string): Promise<Answer<string>> {
    return this.remember(`aaaa ${name}`, async () =>
      addressRecords(await this.channels.ask((resolver) => resolver.resolve6(name, { ttl: true }))),
    )
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

  /** While the name servers do not answer. That one says SERVFAIL is the fault of a domain, and an answer. */
  troubles(): Trouble[] {
    if (this.unanswered < unansweredMin) return []
    const where = this.channels.servers().join(' ')
    return [{ kind: 'name-server', where, text: `${this.unanswered} questions without an answer: ${this.lastFailure}` }]
  }

  /** Whoever asks while the same question is under way waits for its answer. */
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
      const { values, ttlSeconds, countMax = valuesMax } = await within(this.clock, answerMillisecondsMax, key, ask())
      this.unanswered = 0
      const milliseconds = ttlSeconds === undefined ? cachedMilliseconds : Math.min(ttlSeconds, ttlSecondsMax) * 1000
      const freshUntil = this.clock.monotonic() + milliseconds
      if (values.length === 0) return { kind: 'none', freshUntil }
      return { kind: 'found', values: values.slice(0, countMax), freshUntil }
    } catch (error) {
      const nothing = saysNothingIsThere(error)
      const now = this.clock.monotonic()
      const code = errorCode(error)
      const isSilent = error instanceof DeadlineError || code === 'ETIMEOUT' || code === 'ECONNREFUSED'
      this.unanswered = isSilent ? this.unanswered + 1 : 0
      this.lastFailure = describeError(error)
      if (nothing === 'noName') return { kind: 'hard', freshUntil: now + cachedMilliseconds }
      if (nothing === 'noRecords') return { kind: 'none', freshUntil: now + cachedMilliseconds }
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
