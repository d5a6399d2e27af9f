/** Decides which group of a channel is attempted next.
 *  Knows:  slots, the share that each domain or uid, each sender, and who hands in has of them, what is due.
 *  Never:  how a delivery is made, what a report means.
 *  Memory: `passesInMemoryMax` passes and `recipientsInMemoryMax` recipients; everything else that waits is on disk,
 *          found by due time. */
import type { Clock } from '../../system/clock.ts'
import type { Channel, DueKey, QueuedMessage, QueueStore } from '../../stores/queue/contract.ts'
import * as limits from './limits.ts'
import {
  beginPass,
  type Group,
  type LiveMessage,
  type LiveMessages,
  type Origin,
  originOf,
  type Pass,
} from './live-message.ts'
import { ParkedMessages } from './parked-messages.ts'
import { WaitingGroups } from './waiting-groups.ts'

export interface ChannelSettings {
  readonly concurrency: number
  /** Groups at once of one share: to one domain, or for one uid. */
  readonly concurrencyPerShare: number
  /** A share gets no more slots than it leaves free: several that take all they can leave some for the next. */
  readonly leavesRoom: boolean
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
  private readonly ready = new WaitingGroups()
  private readonly retries = new WaitingGroups()
  private readonly waitingForShare = new Map<string, Set<Group>>()
  private readonly runningByShare = new Map<string, number>()
  private readonly parked = new ParkedMessages()
  /** Messages that this channel has in memory, or is bringing in. */
  private readonly inMemory = new Set<number>()
  private recipientsInMemory = 0
  private running = 0
  /** Of the running ones, those whose share is known. */
  private runningInShares = 0
  private mayHaveMoreOnDisk = true
  /** What is due up to here has been looked at. */
  private lookedAt: DueKey | undefined
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

  /** Those that have really begun: of the local ones, lspawn has told whose they are. */
  get begunCount(): number {
    return this.channel === 'local' ? this.runningInShares : this.running
  }

  get concurrency(): number {
    return this.settings.concurrency
  }

  /** A message that was just committed: attempted from memory if there is room, else found on disk in its turn. */
  offer(message: QueuedMessage, content: Buffer | undefined): void {
    if (!this.stopped && this.hasRoomFor(message)) this.take(message, content)
    else this.isOnDisk(message.due[this.channel])
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
    const wantsMore = this.passesInMemory < limits.passesInMemoryMax / 2 && this.hasRoom
    if (this.mayHaveMoreOnDisk && wantsMore && !this.scanning && !this.stopped) void this.scan()
  }

  /** A running group turns out to be of that share. False if the share is taken: the group has given up its slot, and
   *  waits for one. */
  assign(group: Group, share: string): boolean {
    if (group.share === share) return true
    this.countShare(group.share, -1)
    group.share = share
    if (!this.isTaken(share)) {
      this.countShare(share, 1)
      return true
    }
    this.running--
    this.waitForShare(group, share)
    return false
  }

  /** The group's slot is free. */
  finished(group: Group): void {
    this.running--
    for (const share of sharesOf(group)) {
      this.countShare(share, -1)
      this.releaseForShare(share)
    }
  }

  /** Its host has enough of us: the slot is free for others until it is tried again. Its shares stay taken, or a sender
   *  would fill the memory with groups that are on their way back. */
  stepAside(group: Group): void {
    this.running--
    group.isAside = true
    const milliseconds = Math.min(limits.asideMillisecondsMax, limits.asideMillisecondsMin * 2 ** group.timesAside)
    group.timesAside++
    this.ports.clock.after(milliseconds, () => {
      this.ready.push(group)
      this.pump()
    })
  }

  /** The pass has ended: the message is no longer this channel's, and is due again at the given time, or never. */
  passEnded({ message }: LiveMessage, dueAgainMs: number | undefined): void {
    this.inMemory.delete(message.id)
    this.recipientsInMemory -= message.recipients.length
    if (dueAgainMs === undefined) return
    this.isOnDisk(dueAgainMs)
    this.wakeAt(dueAgainMs)
  }

  /** A group whose deliverer was lost: it goes on as soon as another is there. */
  putBack(group: Group): void {
    this.ready.unshift(group)
  }

  /** Due times on disk were changed. */
  lookAgain(): void {
    this.lookedAt = undefined
    this.mayHaveMoreOnDisk = true
    this.pump()
  }

  stop(): void {
    this.stopped = true
    this.cancelWake()
  }

  private take(message: QueuedMessage, content: Buffer | undefined): void {
    const { lives, clock } = this.ports
    const live = lives.acquire(message, content)
    this.inMemory.add(message.id)
    this.recipientsInMemory += message.recipients.length
    const pass = beginPass(live, this.channel, clock.now(), this.settings.lifetimeSeconds)
    if (pass.groups.length === 0) this.ports.nothingWaiting(pass)
    for (const group of pass.groups) (pass.isRetry ? this.retries : this.ready).push(group)
  }

  private get passesInMemory(): number {
    return this.inMemory.size - this.parked.size
  }

  private get hasRoom(): boolean {
    return this.passesInMemory < limits.passesInMemoryMax && this.recipientsInMemory < limits.recipientsInMemoryMax
  }

  private hasRoomFor({ recipients }: QueuedMessage): boolean {
    return this.hasRoom || (recipients.length <= limits.fewRecipients && this.passesInMemory < limits.passesInMemoryMax)
  }

  /** New mail before retries, and retries may not take every slot while new mail waits for a share. */
  private nextGroup(): Group | undefined {
    for (;;) {
      const group = this.ready.shift() ?? this.nextRetry() ?? this.nextWaiting()
      if (group === undefined) return undefined
      const taken = group.isAside ? undefined : sharesOf(group).find((share) => this.isTaken(share))
      if (taken === undefined) return group
      this.waitForShare(group, taken)
    }
  }

  private nextRetry(): Group | undefined {
    const slots = this.settings.concurrency
    const most = this.channel === 'remote' && slots > 4 ? Math.floor(slots * limits.retryShare) : slots
    return this.running < most ? this.retries.shift() : undefined
  }

  private nextWaiting(): Group | undefined {
    for (const share of this.waitingForShare.keys()) {
      const group = this.isTaken(share) ? undefined : this.takeWaiting(share)
      if (group !== undefined) return group
    }
    return undefined
  }

  private start(group: Group): void {
    this.running++
    if (!group.isAside) for (const share of sharesOf(group)) this.countShare(share, 1)
    group.isAside = false
    this.ports.deliver(group)
  }

  private countShare(share: string, change: 1 | -1): void {
    if (share === '') return
    this.runningInShares += change
    const count = (this.runningByShare.get(share) ?? 0) + change
    if (count <= 0) this.runningByShare.delete(share)
    else this.runningByShare.set(share, count)
  }

  private isTaken(share: string): boolean {
    if (share === '') return false
    const { concurrency, concurrencyPerShare, leavesRoom } = this.settings
    const running = this.runningByShare.get(share) ?? 0
    const origin = originOf(share)
    if (origin !== undefined) return running > 0 && running >= this.originMost(origin)
    const free = concurrency - this.runningInShares
    return running >= concurrencyPerShare || (leavesRoom && running > 0 && running >= free)
  }

  /** Nobody's mail holds every slot, nor does that of several, however slow its hosts are: what one uid handed in has no more
   *  than three times what it leaves free, and of that one sender no more than it leaves to the uid's others. */
  private originMost({ originShare, isSender }: Origin): number {
    const { concurrency } = this.settings
    const most = Math.ceil(concurrency * limits.originShare)
    const free = concurrency - this.running
    if (isSender) return Math.min(free, most - (this.runningByShare.get(originShare) ?? 0))
    return Math.min(most, (free * limits.originShare) / (1 - limits.originShare))
  }

  private waitForShare(group: Group, share: string): void {
    const { pass } = group
    group.waitsFor = share
    const waiting = this.waitingForShare.get(share) ?? new Set<Group>()
    this.waitingForShare.set(share, waiting)
    waiting.add(group)
    pass.groupsWaiting++
    this.parkIfIdle(pass)
  }

  /** A message of which nothing runs leaves memory if enough others wait for its share. What it did in this pass must be
   *  on disk: it is read from there when it comes back. */
  parkIfIdle(pass: Pass): void {
    if (pass.groupsOpen === 0 || pass.groupsWaiting < pass.groupsOpen || pass.live.uncommitted > 0) return
    const isCrowded = ({ waitsFor }: Group): boolean =>
      (this.waitingForShare.get(waitsFor)?.size ?? 0) > limits.shareWaitingMax
    const waiting = pass.groups.filter((group) => this.waitingForShare.get(group.waitsFor)?.has(group) === true)
    if (!waiting.some(isCrowded)) return
    if (!this.parked.add(new Set(waiting.map(({ waitsFor }) => waitsFor)), pass.live.message.id)) return
    for (const group of waiting) this.waitingForShare.get(group.waitsFor)?.delete(group)
    this.recipientsInMemory -= pass.live.message.recipients.length
    this.ports.lives.release(pass.live)
  }

  private takeWaiting(share: string): Group | undefined {
    const waiting = this.waitingForShare.get(share)
    const [group] = waiting ?? []
    if (group === undefined) {
      this.waitingForShare.delete(share)
      return undefined
    }
    waiting?.delete(group)
    group.pass.groupsWaiting--
    // To the end of the shares that wait.
    this.waitingForShare.delete(share)
    if (waiting !== undefined && waiting.size > 0) this.waitingForShare.set(share, waiting)
    return group
  }

  private releaseForShare(share: string): void {
    if (share === '') return
    const next = this.takeWaiting(share)
    if (next !== undefined) this.ready.unshift(next)
    if ((this.waitingForShare.get(share)?.size ?? 0) > limits.shareWaitingMax / 2) return
    const ids = this.parked.takeFrom(share, limits.shareWaitingMax)
    if (ids.length > 0) void this.bringInAll(ids)
  }

  /** Parked messages stay in `inMemory` (by id only), so that a scan does not find them again. */
  private async bringInAll(ids: readonly number[]): Promise<void> {
    for (let at = 0; at < ids.length; at += limits.loadBatchMax) {
      await this.bringIn(ids.slice(at, at + limits.loadBatchMax))
    }
    this.pump()
  }

  private async bringIn(ids: readonly number[]): Promise<void> {
    try {
      const messages = await this.ports.store.load(ids)
      for (const id of ids) this.inMemory.delete(id)
      const nowMs = this.ports.clock.now()
      for (const message of messages) {
        const isDue = (message.due[this.channel] ?? Number.POSITIVE_INFINITY) <= nowMs
        if (!message.held && isDue) this.take(message, undefined)
      }
    } catch (error) {
      for (const id of ids) this.inMemory.delete(id)
      this.tryLater(error)
    }
  }

  private async scan(): Promise<void> {
    this.scanning = true
    this.mayHaveMoreOnDisk = false
    const { store, clock } = this.ports
    const nowMs = clock.now()
    try {
      const page = await store.due(this.channel, nowMs, limits.scanBatchMax, this.lookedAt)
      if (page.length > 0) {
        this.mayHaveMoreOnDisk = true
        this.lookedAt = page.at(-1)
        await this.bringInFrom(page)
      } else {
        const nextMs = await store.nextDue(this.channel, nowMs)
        if (nextMs !== undefined) this.wakeAt(nextMs)
      }
    } catch (error) {
      this.tryLater(error)
    } finally {
      this.scanning = false
    }
    if (this.mayHaveMoreOnDisk) this.pump()
  }

  /** A few at a time, as long as there is room: each may have thousands of recipients. */
  private async bringInFrom(page: readonly DueKey[]): Promise<void> {
    const fresh = page.filter(({ id }) => !this.inMemory.has(id))
    for (const { id } of fresh) this.inMemory.add(id)
    for (let at = 0; at < fresh.length; at += limits.loadBatchMax) {
      if (at > 0 && !this.hasRoom) {
        const left = fresh.slice(at)
        for (const { id } of left) this.inMemory.delete(id)
        this.isOnDisk(left[0]?.dueMs)
        return
      }
      await this.bringIn(fresh.slice(at, at + limits.loadBatchMax).map(({ id }) => id))
    }
  }

  /** Something due then is, or will be, on disk only. */
  private isOnDisk(dueMs: number | undefined): void {
    if (dueMs === undefined) return
    if (this.lookedAt !== undefined && dueMs <= this.lookedAt.dueMs) this.lookedAt = { dueMs: dueMs - 1, id: 0 }
    if (dueMs <= this.ports.clock.now()) this.mayHaveMoreOnDisk = true
  }

  private tryLater(error: unknown): void {
    this.lookedAt = undefined
    this.ports.onStoreTrouble(error)
    this.wakeAt(this.ports.clock.now() + limits.commitAgainSeconds * 1000)
  }

  private wakeAt(atMs: number): void {
    if (this.stopped || atMs >= this.wakeAtMs) return
    this.wakeAtMs = atMs
    this.cancelWake()
    const milliseconds = Math.min(Math.max(0, atMs - this.ports.clock.now()), limits.wakeMillisecondsMax)
    this.cancelWake = this.ports.clock.after(milliseconds, () => {
      this.wakeAtMs = Number.POSITIVE_INFINITY
      this.mayHaveMoreOnDisk = true
      this.pump()
    })
  }
}

function sharesOf({ share, originShares }: Group): string[] {
  return [share, ...originShares]
}
