/** The local channel: lspawn says which uid owns a recipient, and that uid's `local` gets the attempt.
 *  Knows:  resolutions (for a few seconds), the `local` of each uid. Never: homes, extensions, .qmail files.
 *  A `local` that has retired or died is asked for again through lspawn. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Status } from '../../base/outcome.ts'
import { encodeToDeliverer } from '../../contracts/deliver.ts'
import { ContractError } from '../../contracts/frame.ts'
import { crashed } from '../../protocols/qmail/delivery-status.ts'
import type { Clock } from '../../system/clock.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import { Deliverer, type Outgoing } from './deliverer.ts'
import * as limits from './limits.ts'
import type { Group } from './live-message.ts'

interface Resolution {
  readonly uid: number
  readonly key: number
  readonly until: number
}

interface Pending {
  readonly group: Group
  readonly content: Buffer | undefined
  tries: number
}

interface Asked {
  /** Of the message that asked first. */
  readonly messageId: number
  readonly recipient: ByteString
  readonly pending: Pending[]
}

interface Waiter extends Pending {
  readonly key: number
  readonly cancel: () => void
}

export interface LocalDeliveriesPorts {
  /** False if the uid has all the slots it may have: the group is delivered later, from the beginning. */
  assign(group: Group, uid: number): boolean
  finish(group: Group, status: Status): void
}

export class LocalDeliveries {
  private readonly clock: Clock
  private readonly ports: LocalDeliveriesPorts
  private lspawn: FrameConnection | undefined
  private readonly byUid = new Map<number, Deliverer>()
  private readonly resolutions = new Map<ByteString, Resolution>()
  /** Asked, by ref; what was asked of an lspawn that died is asked again of the next one. */
  private readonly asked = new Map<number, Asked>()
  private readonly refByRecipient = new Map<ByteString, number>()
  private readonly waitingForLocal = new Map<number, Set<Waiter>>()
  private lastRef = 0

  constructor(clock: Clock, ports: LocalDeliveriesPorts) {
    this.clock = clock
    this.ports = ports
  }

  get canDeliver(): boolean {
    return this.lspawn !== undefined
  }

  deliver(group: Group, content: Buffer | undefined): void {
    this.route({ group, content, tries: 0 })
  }

  lspawnArrived(connection: FrameConnection): void {
    this.lspawn = connection
    for (const [ref, { messageId, recipient }] of this.asked) {
      connection.send(encodeToDeliverer({ kind: 'resolve', ref, messageId, recipient }))
    }
  }

  lspawnLost(connection: FrameConnection): void {
    if (this.lspawn === connection) this.lspawn = undefined
    this.resolutions.clear()
  }

  resolved(ref: number, uid: number, key: number): void {
    const asked = this.answered(ref)
    if (this.resolutions.size >= limits.resolutionsMax) this.resolutions.clear()
    const until = this.clock.monotonic() + limits.resolutionSeconds * 1000
    this.resolutions.set(asked.recipient, { uid, key, until })
    for (const pending of asked.pending) this.send(pending, uid, key)
  }

  unresolved(ref: number, status: Status): void {
    for (const pending of this.answered(ref).pending) this.ports.finish(pending.group, status)
  }

  /** The `local` of a uid has connected; it may be the next one while the one before still finishes. */
  localArrived(uid: number, connection: FrameConnection): Deliverer {
    const deliverer = new Deliverer(connection, this.clock)
    this.byUid.set(uid, deliverer)
    return deliverer
  }

  /** Also of one that wanted to retire, and has found something to do: there is one for a uid. */
  localReady(uid: number, deliverer: Deliverer, capacity: number): void {
    deliverer.retired = false
    this.byUid.set(uid, deliverer)
    deliverer.ready(capacity)
    const waiters = this.waitingForLocal.get(uid)
    this.waitingForLocal.delete(uid)
    for (const waiter of waiters ?? []) {
      waiter.cancel()
      deliverer.send(outgoing(waiter, waiter.key))
    }
  }

  localRetires(uid: number, deliverer: Deliverer): void {
    deliverer.retired = true
    this.forget(uid, deliverer)
    deliverer.connection.send(encodeToDeliverer({ kind: 'retired' }))
  }

  localLost(uid: number, deliverer: Deliverer): void {
    this.forget(uid, deliverer)
  }

  private forget(uid: number, deliverer: Deliverer): void {
    if (this.byUid.get(uid) === deliverer) this.byUid.delete(uid)
    for (const [recipient, resolution] of this.resolutions) {
      if (resolution.uid === uid) this.resolutions.delete(recipient)
    }
  }

  private route(pending: Pending): void {
    const recipient = recipientOf(pending.group)
    const known = this.resolutions.get(recipient)
    if (known !== undefined && known.until > this.clock.monotonic()) this.send(pending, known.uid, known.key)
    else this.ask(recipient, pending)
  }

  private ask(recipient: ByteString, pending: Pending): void {
    const open = this.refByRecipient.get(recipient)
    if (open !== undefined) {
      this.asked.get(open)?.pending.push(pending)
      return
    }
    this.lastRef = (this.lastRef + 1) % 0x1_0000_0000
    const messageId = pending.group.pass.live.message.id
    this.asked.set(this.lastRef, { messageId, recipient, pending: [pending] })
    this.refByRecipient.set(recipient, this.lastRef)
    this.lspawn?.send(encodeToDeliverer({ kind: 'resolve', ref: this.lastRef, messageId, recipient }))
  }

  private answered(ref: number): Asked {
    const asked = this.asked.get(ref)
    if (asked === undefined) throw new ContractError(`answer to unknown resolve ${ref}`)
    this.asked.delete(ref)
    this.refByRecipient.delete(asked.recipient)
    return asked
  }

  private send(pending: Pending, uid: number, key: number): void {
    if (!this.ports.assign(pending.group, uid)) return
    const deliverer = this.byUid.get(uid)
    if (deliverer !== undefined && deliverer.capacity > 0) deliverer.send(outgoing(pending, key))
    else this.waitForLocal(pending, uid, key)
  }

  private waitForLocal(pending: Pending, uid: number, key: number): void {
    const waiters = this.waitingForLocal.get(uid) ?? new Set<Waiter>()
    this.waitingForLocal.set(uid, waiters)
    const cancel = this.clock.after(limits.localConnectMilliseconds, () => {
      waiters.delete(waiter)
      this.resolutions.delete(recipientOf(pending.group))
      const tries = pending.tries + 1
      if (tries < limits.localConnectTries) this.route({ ...pending, tries })
      else this.ports.finish(pending.group, crashed('local'))
    })
    const waiter: Waiter = { ...pending, key, cancel }
    waiters.add(waiter)
  }
}

function outgoing(pending: Pending, key: number): Outgoing {
  return { group: pending.group, key, content: pending.content }
}

function recipientOf(group: Group): ByteString {
  return group.pass.live.message.recipients[group.positions[0] ?? 0]?.address ?? ''
}
