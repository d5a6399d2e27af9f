/** Carries messages from "accepted" to "gone": starts groups, applies reports, ends passes and messages.
 *  States are in memory first and in the store by the next commit; what is not committed yet is at worst done twice
 *  after a crash, never lost. */
import { describeError, plainFailure, type Status } from '../../base/outcome.ts'
import { crashed, lspawnStatuses } from '../../protocols/qmail/delivery-status.ts'
import { lifetimeOverText } from '../../protocols/qmail/schedule.ts'
import type { Clock } from '../../system/clock.ts'
import { changeMessage } from '../../stores/queue/change.ts'
import type { Change, Channel, MessageChange, QueuedMessage, QueueStore } from '../../stores/queue/contract.ts'
import { channels } from '../../stores/queue/contract.ts'
import type { Acceptance } from './acceptance.ts'
import type { Bounced, Bouncer } from './bouncer.ts'
import { ChannelSchedule, type ChannelSettings } from './channel-schedule.ts'
import type { ContentSource } from './content-source.ts'
import type { DeferralCauses } from './deferral-causes.ts'
import type { DeliveryLog } from './delivery-log.ts'
import * as limits from './limits.ts'
import { recordReport } from './report-record.ts'
import { type Group, type LiveMessage, LiveMessages, type Pass } from './live-message.ts'

/** How a channel delivers. `deliver` is false if nobody is there any more. */
export interface Transport {
  readonly canDeliver: boolean
  deliver(group: Group, content: Buffer | undefined): boolean
}

export interface DispatcherOptions {
  readonly store: QueueStore
  readonly source: ContentSource
  readonly clock: Clock
  readonly log: DeliveryLog
  readonly settings: Readonly<Record<Channel, ChannelSettings>>
  readonly transports: Readonly<Record<Channel, Transport>>
  readonly causes: DeferralCauses
  onStoreTrouble(error: unknown): void
}

const deletedStatus = plainFailure(4, '0.0', 'message deleted\n', '')
const heldStatus = plainFailure(4, '0.0', 'message held\n', '')

export class Dispatcher {
  readonly lives: LiveMessages = new LiveMessages()
  private readonly options: DispatcherOptions
  private readonly schedules: Readonly<Record<Channel, ChannelSchedule>>
  private bouncer: Bouncer | undefined
  private acceptance: Acceptance | undefined
  private stopping = false
  private whenIdle: (() => void) | undefined
  private committing = 0
  private pumping = false

  constructor(options: DispatcherOptions) {
    this.options = options
    this.schedules = { local: this.scheduleFor('local'), remote: this.scheduleFor('remote') }
  }

  /** Acceptance and bouncer need the dispatcher, and it them. */
  connect(acceptance: Acceptance, bouncer: Bouncer): void {
    this.acceptance = acceptance
    this.bouncer = bouncer
  }

  start(): void {
    this.logStatus()
    this.pump()
  }

  accepted(message: QueuedMessage, content: Buffer | undefined): void {
    for (const channel of channels) {
      if (message.due[channel] !== undefined) this.schedules[channel].offer(message, content)
    }
    this.pump()
  }

  /** Something became possible: a deliverer came, a slot is free. */
  pump(): void {
    for (const channel of channels) this.schedules[channel].pump()
  }

  /** For a group that gives its slot back while it is being started: each that does must not start the next one. */
  private pumpSoon(): void {
    if (this.pumping) return
    this.pumping = true
    queueMicrotask(() => {
      this.pumping = false
      this.pump()
    })
  }

  /** Due times on disk were changed from outside. */
  lookAgain(): void {
    for (const channel of channels) this.schedules[channel].lookAgain()
  }

  /** A message was changed in the store: what is in memory of it follows. */
  changed(id: number, changes: readonly MessageChange[]): void {
    const live = this.lives.get(id)
    if (live !== undefined) for (const change of changes) changeMessage(live.message, change)
    this.lookAgain()
  }

  /** What runs of a message, or waits in memory, is tried again at once if it is deferred. False: there is nothing of it. */
  hurry(id: number): boolean {
    const live = this.lives.get(id)
    if (live === undefined) return false
    for (const channel of channels) if (this.schedules[channel].holds(id)) live.hurried.add(channel)
    return live.hurried.size > 0
  }

  isBusyWith(id: number): boolean {
    return channels.some((channel) => this.schedules[channel].holds(id))
  }

  running(channel: Channel): number {
    return this.schedules[channel].runningCount
  }

  /** Starts nothing more; resolves when nothing runs and everything is committed. */
  async stop(): Promise<void> {
    this.stopping = true
    for (const channel of channels) this.schedules[channel].stop()
    this.logStatus()
    await new Promise<void>((resolve) => {
      this.whenIdle = resolve
      this.checkIdle()
    })
  }

  /** A running local group is of that uid. False if the uid has all its slots: the group waits for one of them. */
  assign(group: Group, uid: number): boolean {
    const goesOn = this.schedules.local.assign(group, `uid ${uid}`)
    if (goesOn) this.logStart(group)
    else {
      this.pumpSoon()
      this.checkIdle()
    }
    return goesOn
  }

  /** A deliverer's statuses, one for each of the group's recipients. */
  reported(group: Group, statuses: readonly Status[]): void {
    const { pass } = group
    this.logStart(group)
    const changes: Change[] = []
    for (const [index, position] of group.positions.entries()) {
      const status = statuses[index]
      if (status !== undefined) this.apply(pass, position, status, group.deliveries[index] ?? 0, changes)
    }
    this.ended(group, changes)
  }

  /** The deliverer was lost before it reported: tried again at once, a few times. */
  lost(group: Group, begun: boolean): void {
    if (begun) group.crashes++
    if (group.crashes > limits.crashesMax || this.stopping) {
      this.reportAll(group, crashed(group.pass.channel))
      return
    }
    const schedule = this.schedules[group.pass.channel]
    schedule.finished(group)
    schedule.putBack(group)
  }

  /** Nothing was tried, because the host has its share of attempts: again a little later, without a word. */
  crowded(group: Group): void {
    this.schedules[group.pass.channel].stepAside(group)
    this.logStatus()
    this.pump()
    this.checkIdle()
  }

  private scheduleFor(channel: Channel): ChannelSchedule {
    const { store, clock, settings, transports } = this.options
    return new ChannelSchedule(channel, settings[channel], {
      store,
      clock,
      lives: this.lives,
      canDeliver: () => transports[channel].canDeliver,
      deliver: (group) => this.deliver(group),
      nothingWaiting: (pass) => this.endPass(pass, []),
      onStoreTrouble: (error) => this.options.onStoreTrouble(error),
    })
  }

  private ended(group: Group, changes: readonly Change[]): void {
    const { pass } = group
    this.schedules[pass.channel].finished(group)
    this.logStatus()
    pass.groupsOpen--
    if (pass.groupsOpen === 0) this.endPass(pass, changes)
    else this.commitPart(pass, changes)
    this.pump()
    this.checkIdle()
  }

  /** Its recipients are not marked: on the last pass that would make a bounce of what was never tried. */
  private leaveHeld(group: Group): void {
    for (const delivery of group.deliveries) this.options.log.ended(delivery, group.pass.channel, heldStatus)
    this.ended(group, [])
  }

  private deliver(group: Group): void {
    const { live, channel } = group.pass
    const { source } = this.options
    if (live.message.held) return this.leaveHeld(group)
    if (channel === 'remote') this.logStart(group)
    if (live.deleted) {
      this.reportAll(group, deletedStatus)
    } else if (live.content !== undefined) {
      this.hand(group, live.content)
    } else {
      void source.prepare(group).then(
        (content) => this.hand(group, content),
        (error: unknown) => this.unreadable(group, error),
      )
    }
  }

  private logStart(group: Group): void {
    if (group.deliveries.length > 0) return
    const { live, channel } = group.pass
    group.deliveries = group.positions.map((position) =>
      this.options.log.starting(live.message.id, channel, live.message.recipients[position]?.address ?? ''),
    )
    this.logStatus()
  }

  private hand(group: Group, content: Buffer | undefined): void {
    if (!this.options.transports[group.pass.channel].deliver(group, content)) this.lost(group, false)
  }

  private unreadable(group: Group, error: unknown): void {
    this.options.log.warning(`trouble reading mess/${group.pass.live.message.id}: ${describeError(error)}`)
    this.reportAll(group, { ...lspawnStatuses.noContent, logText: describeError(error) })
  }

  private reportAll(group: Group, status: Status): void {
    this.reported(
      group,
      group.positions.map(() => status),
    )
  }

  private apply(pass: Pass, position: number, status: Status, delivery: number, changes: Change[]): void {
    const { message } = pass.live
    const recipient = message.recipients[position]
    if (recipient === undefined) return
    const final = status.class === 4 && pass.isLast ? expired(status) : status
    this.options.log.ended(delivery, pass.channel, final)
    this.options.causes.reported(message.id, recipient.address, final)
    changes.push(recordReport(pass.live, position, final, this.options.clock.now()))
  }

  private commitPart(pass: Pass, changes: readonly Change[]): void {
    const { live, channel } = pass
    live.uncommitted++
    this.commit(changes, () => {
      live.uncommitted--
      this.schedules[channel].parkIfIdle(pass)
      // That may have made room, and nothing else need happen for long.
      this.pump()
    })
  }

  private endPass(pass: Pass, changes: readonly Change[]): void {
    const { live, channel } = pass
    const { message } = live
    const isWaiting = message.recipients.some((one) => one.channel === channel && one.state === 'waiting')
    // What was tried in this pass must not look as if the next one had tried it.
    const nextMs = Math.max(live.hurried.delete(channel) ? 0 : pass.nextMs, this.options.clock.now() + 1)
    const due = moveDue(message, channel, isWaiting && !live.deleted ? nextMs : undefined)
    if (channels.every((one) => message.due[one] === undefined)) {
      void this.endMessage(live, channel, changes)
      return
    }
    this.commit([...changes, due], () => this.leave(live, channel, due.atMs))
  }

  /** Every recipient is done: the bounce, if one is due, goes out with the removal. */
  private async endMessage(live: LiveMessage, channel: Channel, changes: readonly Change[]): Promise<void> {
    const { message } = live
    this.committing++
    const bounced = live.deleted ? undefined : await this.bouncer?.bounce(message)
    this.committing--
    if (bounced !== undefined && !bounced.done && !live.deleted) {
      this.options.log.warning(`trouble injecting bounce message, will try later: ${bounced.failure.logText}`)
      const due = moveDue(message, channel, this.options.clock.now() + limits.injectAgainSeconds * 1000)
      this.commit([...changes, due], () => this.leave(live, channel, due.atMs))
      return
    }
    const outcome: Bounced = bounced?.done === true ? bounced.value : { kind: 'none' }
    const unit: Change[] = outcome.kind === 'added' ? [outcome.change] : []
    unit.push({ kind: 'remove', id: message.id })
    this.commit(unit, () => {
      this.logEnd(message.id, outcome)
      this.options.causes.removed(
        message.id,
        message.recipients.map(({ address }) => address),
      )
      this.leave(live, channel, undefined)
      if (outcome.kind === 'added') this.acceptance?.accepted(outcome.message, outcome.content)
    })
  }

  private logEnd(id: number, outcome: Bounced): void {
    const { log } = this.options
    if (outcome.kind === 'discarded') log.tripleBounce(id)
    if (outcome.kind === 'refused')
      log.alert(`bounce/${id} is refused for good, as a double bounce too: discarding it: ${outcome.why}`)
    if (outcome.kind === 'injected') log.bounced(id, outcome.qp)
    if (outcome.kind === 'added') log.bounced(id, outcome.message.id)
    log.endMessage(id)
  }

  private leave(live: LiveMessage, channel: Channel, dueAgainMs: number | undefined): void {
    this.lives.release(live)
    this.schedules[channel].passEnded(live, dueAgainMs)
    this.schedules[channel].pump()
  }

  /** Commits, again and again if it must be: until then the message stays in memory and is not attempted again. */
  private commit(changes: readonly Change[], then: () => void = () => undefined): void {
    if (changes.length === 0) {
      then()
      return
    }
    this.committing++
    this.options.store.commit(changes, 'withOthers').then(
      () => {
        this.committing--
        then()
        this.checkIdle()
      },
      (error: unknown) => {
        this.committing--
        this.options.onStoreTrouble(error)
        this.options.clock.after(limits.commitAgainSeconds * 1000, () => this.commit(changes, then))
        this.checkIdle()
      },
    )
  }

  private checkIdle(): void {
    if (this.whenIdle === undefined || this.committing > 0) return
    if (channels.every((channel) => this.schedules[channel].runningCount === 0)) this.whenIdle()
  }

  private logStatus(): void {
    const side = (channel: Channel): { running: number; most: number } => ({
      running: this.schedules[channel].begunCount,
      most: this.schedules[channel].concurrency,
    })
    this.options.log.status(side('local'), side('remote'), this.stopping)
  }
}

/** In memory; and what the store is to be told. */
function moveDue(message: QueuedMessage, channel: Channel, atMs: number | undefined): Extract<Change, { kind: 'due' }> {
  const change = { kind: 'due', id: message.id, channel, atMs } as const
  changeMessage(message, change)
  return change
}

/** RFC 3463 §3.5: delivery time expired. What the last attempt ended in is told with it. */
function expired(status: Status): Status {
  return { ...status, class: 5, subject: 4, detail: 7, peerText: status.peerText + lifetimeOverText }
}
