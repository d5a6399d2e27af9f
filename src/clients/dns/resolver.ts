/** The system's resolvers, or those named, through c-ares: UDP, and TCP when an answer was truncated.
 *  Knows:  a small cache (c-ares tells no TTL for MX records), one query for many who ask the same, time limits.
 *  Never:  asks for a name that no host can have.
 *  Fails:  every trouble is `soft`; only NXDOMAIN is `hard`. */
import { Resolver } from 'node:dns/promises'
import { describeError } from '../../base/outcome.ts'
import { type Clock, within } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import type { Answer, Dns, MailExchanger } from './dns.ts'

const cachedMilliseconds = 60_000
/** Trouble is remembered just long enough to answer a burst. */
const softCachedMilliseconds = 5_000
const cacheEntriesMax = 10_000
/** The system's resolv.conf is read again so often: a laptop or a DHCP lease changes it under a long-lived process. */
const renewMilliseconds = 60_000
const queryMilliseconds = 5_000
const triesMax = 3
const answerMillisecondsMax = 30_000
/** Of one answer; RFC 5321 sets no limit, a hostile zone should not either. */
const valuesMax = 100

interface Cached {
  readonly answer: Promise<Answer<unknown>>
  until: number
}

export class SystemDns implements Dns {
  private readonly clock: Clock
  private readonly servers: readonly string[]
  private readonly cache = new Map<string, Cached>()
  private resolver: Resolver | undefined
  private renewAt = 0

  /** `servers`: address or address:port, `[v6]:port`; empty means the system's. Throws if one is malformed. */
  constructor(clock: Clock, servers: readonly string[] = []) {
    this.clock = clock
    this.servers = servers
    this.current()
  }

  mx(name: string): Promise<Answer<MailExchanger>> {
    return this.remember(`mx ${name}`, async () => {
      const records = await this.current().resolveMx(name)
      return records.map(({ priority, exchange }) => ({ preference: priority, name: exchange }))
    })
  }

  async addresses(name: string): Promise<Answer<string>> {
    const [four, six] = await Promise.all([
      this.remember(`a ${name}`, () => this.current().resolve4(name)),
      this.remember(`aaaa ${name}`, () => this.current().resolve6(name)),
    ])
    const values = [four, six].flatMap((answer) => (answer.kind === 'found' ? answer.values : []))
    if (values.length > 0) return { kind: 'found', values }
    if (four.kind === 'soft') return four
    if (six.kind === 'soft') return six
    return four.kind === 'hard' && six.kind === 'hard' ? four : { kind: 'none' }
  }

  /** Whoever asks while the same question is under way waits for its answer. */
  private remember<T>(key: string, ask: () => Promise<T[]>): Promise<Answer<T>> {
    const now = this.clock.monotonic()
    const known = this.cache.get(key)
    if (known !== undefined && known.until > now) return known.answer as Promise<Answer<T>>
    if (this.cache.size >= cacheEntriesMax) this.forgetOldest()
    const answer = this.ask(key, ask)
    const entry: Cached = { answer, until: Number.POSITIVE_INFINITY }
    this.cache.delete(key)
    this.cache.set(key, entry)
    void answer.then(({ kind }) => {
      entry.until = this.clock.monotonic() + (kind === 'soft' ? softCachedMilliseconds : cachedMilliseconds)
    })
    return answer
  }

  private async ask<T>(key: string, ask: () => Promise<T[]>): Promise<Answer<T>> {
    try {
      const values = await within(this.clock, answerMillisecondsMax, key, ask())
      return values.length === 0 ? { kind: 'none' } : { kind: 'found', values: values.slice(0, valuesMax) }
    } catch (error) {
      const code = errorCode(error)
      if (code === 'ENOTFOUND') return { kind: 'hard' }
      if (code === 'ENODATA') return { kind: 'none' }
      return { kind: 'soft', why: describeError(error) }
    }
  }

  private forgetOldest(): void {
    for (const key of this.cache.keys()) {
      this.cache.delete(key)
      return
    }
  }

  private current(): Resolver {
    const now = this.clock.monotonic()
    if (this.resolver === undefined || (this.servers.length === 0 && now >= this.renewAt)) {
      this.resolver = new Resolver({ timeout: queryMilliseconds, tries: triesMax })
      if (this.servers.length > 0) this.resolver.setServers(this.servers)
      this.renewAt = now + renewMilliseconds
    }
    return this.resolver
  }
}
