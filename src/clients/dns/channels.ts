/** Channels to the name servers, one question on each: c-ares takes an answer that it cannot read for trouble with the
 *  server, and gives up every question of that channel.
 *  Knows:  which channel is free, when the system's resolv.conf is looked at again. Never: what is asked. */
import { Resolver } from 'node:dns/promises'
import { errorCode } from '../../system/files.ts'

/** Each holds a socket while it is asked; more questions than this at once share channels. */
const channelsMax = 200
/** How often the system's resolv.conf is read again: a laptop or a DHCP lease changes it under a long-lived process. */
const renewMilliseconds = 60_000

/** How long one server is waited for, and how often it is asked. */
export interface QueryLimits {
  readonly queryMilliseconds: number
  readonly triesMax: number
}

interface Channel {
  readonly resolver: Resolver
  readonly madeAt: number
  asking: number
}

export class Channels {
  private readonly monotonic: () => number
  private readonly named: readonly string[]
  private readonly queryLimits: QueryLimits
  private channels: Channel[] = []

  /** `servers`: address or address:port, `[v6]:port`; empty means the system's. Throws if one is malformed. */
  constructor(monotonic: () => number, servers: readonly string[], queryLimits: QueryLimits) {
    this.monotonic = monotonic
    this.named = servers
    this.queryLimits = queryLimits
    this.open()
  }

  /** The name servers that are asked. */
  servers(): readonly string[] {
    return this.named.length > 0 ? this.named : this.take().resolver.getServers()
  }

  async ask<T>(question: (resolver: Resolver) => Promise<T>): Promise<T> {
    const channel = this.take()
    channel.asking++
    try {
      return await question(channel.resolver)
    } catch (error) {
      // A channel that failed is not used again: no question shall wait for what is left of the trouble.
      if (!saysNothingIsThere(error)) this.channels = this.channels.filter((other) => other !== channel)
      throw error
    } finally {
      channel.asking--
    }
  }

  private take(): Channel {
    const oldest = this.named.length > 0 ? Number.NEGATIVE_INFINITY : this.monotonic() - renewMilliseconds
    this.channels = this.channels.filter(({ asking, madeAt }) => asking > 0 || madeAt > oldest)
    const free = this.channels.find(({ asking, madeAt }) => asking === 0 && madeAt > oldest)
    if (free !== undefined) return free
    if (this.channels.length < channelsMax) return this.open()
    return this.channels.reduce((least, channel) => (channel.asking < least.asking ? channel : least))
  }

  private open(): Channel {
    const resolver = new Resolver({ timeout: this.queryLimits.queryMilliseconds, tries: this.queryLimits.triesMax })
    if (this.named.length > 0) resolver.setServers(this.named)
    const channel = { resolver, madeAt: this.monotonic(), asking: 0 }
    this.channels.push(channel)
    return channel
  }
}

/** The two answers that are answers: no such name, nothing of this type. */
export function saysNothingIsThere(error: unknown): 'noName' | 'noRecords' | undefined {
  const code = errorCode(error)
  return code === 'ENOTFOUND' ? 'noName' : code === 'ENODATA' ? 'noRecords' : undefined
}
