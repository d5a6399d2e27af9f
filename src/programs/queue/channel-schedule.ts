/** Decides which group of a channel is attempted next.
 *  Knows:  slots, per-domain limits, what is due. Never: how a delivery is made, what a report means.
 *  Memory: at most `passesInMemoryMax` passes; everything else that waits is on disk, found by due time. */
import type { Clock } from '../../system/clock.ts'
import type { Channel, QueueStore } from '../../stores/queue/contract.ts'
import * as limits from './limits.ts'
import { beginPass, type Group, type LiveMessage, type LiveMessages, type Pass } from './live-message.ts'
import { ParkedMessages } from './parked-messages.ts'

export interface ChannelSettings {
  readonly concurrency: number
  /** Groups at once to one domain; for local, no limit of its own. */
  readonly concurrencyPerDomain: number
  readonly lifetimeSeconds: number
}

export interface ChannelPorts {
  readonly store: QueueStore
  readonly clock: Clock
  readonly lives: LiveMessages
  /** Is somebody there who can deliver? */
  canDeliver(): boolean
  /** Starts the delivery; its end is told by `finished`. */
  deliver(group: Group): void
  /** A pass without any waiting recipient: only the end of the message is left to do. */
  nothingWaiting(pass: Pass): void
  onStoreTrouble(error: unknown): void
}

export class ChannelSchedule {
  readonly channel: Channel
  private readonly settings: ChannelSettings
  private readonly ports: ChannelPorts
  private readonly ready: Group[] = []
  private readonly retries: Group[] = []
  private readonly waitingForDomain = new Map<string, Group[]>()
  private readonly runningByDomain = new Map<string, number>()
  private readonly parked = new ParkedMessages()
  /** Messages that this channel has in memory, or is bringing in. */
  private readonly inMemory = new Set<number>()
  private running = 0
  private mayHaveMoreOnDisk = true
  private scanning = false
  private stopped = false
  private wakeAtMs = Number.POSITIVE_INFINITY
  private cancelWake: () => void = () => undefined

  constructor(channel: Channel, settings: ChannelSettings, ports: ChannelPorts) {
    this.channel = channel
    this.settings = settings
    this.ports = ports
  }

  get runningCount(): number {
    return this.running
  }

  get concurrency(): number {
    return this.settings.concurrency
  }

  /** A message that was just committed: attempted from memory if there is room, else found on disk in its turn. */
  offer(live: LiveMessage): void {
    if (this.passesInMemory >= limits.passesInMemoryMax || this.stopped) this.mayHaveMoreOnDisk = true
    else this.take(live)
  }

  /** True while a pass of the message is in memory here. */
  holds(id: number): boolean {
    return this.inMemory.has(id)
  }

  /** Starts what can be started. Call it whenever something has changed. */
  pump(): void {
    while (!this.stopped && this.running < this.settings.concurrency && this.ports.canDeliver()) {
      const group = this.nextGroup()
      if (group === undefined) break
      this.start(group)
    }
    const hasRoom = this.passesInMemory < limits.passesInMemoryMax / 2
    if (this.mayHaveMoreOnDisk && hasRoom && !this.scanning && !this.stopped) void this.scan()
  }

  /** The group's slot is free. */
  finished(group: Group): void {
    this.running--
    if (group.domain === '') return
    const count = (this.runningByDomain.get(group.domain) ?? 1) - 1
    if (count === 0) this.runningByDomain.delete(group.domain)
    else this.runningByDomain.set(group.domain, count)
    this.releaseForDomain(group.domain)
  }

  /** The pass has ended: the message is no longer this channel's, and is due again at the given time, or never. */
  passEnded(live: LiveMessage, dueAgainMs: number | undefined): void {
    this.inMemory.delete(live.message.id)
    if (dueAgainMs !== undefined) this.wakeAt(dueAgainMs)
  }

  /** A group whose deliverer was lost: it goes on as soon as another is there. */
  putBack(group: Group): void {
    this.ready.unshift(group)
  }

  /** Due times on disk were changed. */
  lookAgain(): void {
    this.mayHaveMoreOnDisk = true
    this.pump()
  }

  stop(): void {
    this.stopped = true
    this.cancelWake()
  }

  private take(live: LiveMessage): void {
    const { lives, clock } = this.ports
    const acquired = lives.acquire(live.message, live.content)
    this.inMemory.add(live.message.id)
    const { pass, groups } = beginPass(acquired, this.channel, clock.now(), this.settings.lifetimeSeconds)
    if (groups.length === 0) this.ports.nothingWaiting(pass)
    for (const group of groups) (pass.isRetry ? this.retries : this.ready).push(group)
  }

  private get passesInMemory(): number {
    return this.inMemory.size - this.parked.size
  }

  /** New mail before retries, and retries may not take every slot while new mail waits for a domain's. */
  private nextGroup(): Group | undefined {
    for (;;) {
      const group = this.ready.shift() ?? this.nextRetry()
      if (group === undefined) return undefined
      if (!this.domainIsBusy(group.domain)) return group
      this.waitForDomain(group)
    }
  }

  private nextRetry(): Group | undefined {
    const slots = this.settings.concurrency
    const most = this.channel === 'remote' && slots > 4 ? Math.floor(slots * limits.retryShare) : slots
    return this.running < most ? this.retries.shift() : undefined
  }

  private start(group: Group): void {
    this.running++
    if (group.domain !== '') {
      this.runningByDomain.set(group.domain, (this.runningByDomain.get(group.domain) ?? 0) + 1)
    }
    this.ports.deliver(group)
  }

  private domainIsBusy(domain: string): boolean {
    return domain !== '' && (this.runningByDomain.get(domain) ?? 0) >= this.settings.concurrencyPerDomain
  }

  private waitForDomain(group: Group): void {
    const { pass, domain } = group
    const waiting = this.waitingForDomain.get(domain) ?? []
    // Only a message that has nothing else to do in memory can leave it.
    const canPark = waiting.length >= limits.domainWaitingMax && pass.groupsOpen === 1
    if (canPark && this.parked.add(domain, pass.live.message.id)) {
      this.ports.lives.release(pass.live)
      return
    }
    waiting.push(group)
    this.waitingForDomain.set(domain, waiting)
  }

  private releaseForDomain(domain: string): void {
    const waiting = this.waitingForDomain.get(domain)
    const next = waiting?.shift()
    if (next !== undefined) this.ready.unshift(next)
    if (waiting?.length === 0) this.waitingForDomain.delete(domain)
    if ((waiting?.length ?? 0) > limits.domainWaitingMax / 2) return
    const ids = this.parked.takeFrom(domain, limits.domainWaitingMax)
    if (ids.length > 0) void this.bringIn(ids)
  }

  /** Parked messages stay in `inMemory` (by id only), so that a scan does not find them again. */
  private async bringIn(ids: readonly number[]): Promise<void> {
    try {
      const messages = await this.ports.store.load(ids)
      const found = new Set(messages.map((message) => message.id))
      for (const id of ids) if (!found.has(id)) this.inMemory.delete(id)
      const nowMs = this.ports.clock.now()
      for (const message of messages) {
        const isDue = (message.due[this.channel] ?? Number.POSITIVE_INFINITY) <= nowMs
        if (message.held || !isDue) this.inMemory.delete(message.id)
        else this.take({ message, content: undefined, passes: 0, deleted: false })
      }
    } catch (error) {
      for (const id of ids) this.inMemory.delete(id)
      this.ports.onStoreTrouble(error)
      this.wakeAt(this.ports.clock.now() + limits.commitAgainSeconds * 1000)
    }
    this.pump()
  }

  private async scan(): Promise<void> {
    this.scanning = true
    this.mayHaveMoreOnDisk = false
    const { store, clock } = this.ports
    const nowMs = clock.now()
    try {
      const due = await store.dueIds(this.channel, nowMs, this.inMemory.size + limits.scanBatchMax)
      const fresh = due.filter((id) => !this.inMemory.has(id)).slice(0, limits.scanBatchMax)
      if (fresh.length > 0) {
        this.mayHaveMoreOnDisk = true
        for (const id of fresh) this.inMemory.add(id)
        await this.bringIn(fresh)
      } else {
        const nextMs = await store.nextDue(this.channel, nowMs)
        if (nextMs !== undefined) this.wakeAt(nextMs)
      }
    } catch (error) {
      this.ports.onStoreTrouble(error)
      this.wakeAt(clock.now() + limits.commitAgainSeconds * 1000)
    } finally {
      this.scanning = false
    }
    if (this.mayHaveMoreOnDisk) this.pump()
  }

  private wakeAt(atMs: number): void {
    if (this.stopped || atMs >= this.wakeAtMs) return
    this.wakeAtMs = atMs
    this.cancelWake()
    // The clock may be set while we wait: never sleep longer than this without looking at it again.
    const milliseconds = Math.min(Math.max(0, atMs - this.ports.clock.now()), 300_000)
    this.cancelWake = this.ports.clock.after(milliseconds, () => {
      this.wakeAtMs = Number.POSITIVE_INFINITY
      this.lookAgain()
    })
  }
}
