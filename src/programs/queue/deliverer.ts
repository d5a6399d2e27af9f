/** A connection to somebody who delivers: `remote`, or the `local` of one uid. Attempts go out as far as it has room;
 *  what it cannot hold yet waits here. Its frames are hostile input: a report for nothing we sent ends the connection. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Status } from '../../base/outcome.ts'
import { encodeToDeliverer } from '../../contracts/deliver.ts'
import { ContractError } from '../../contracts/frame.ts'
import type { Clock } from '../../system/clock.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import { attemptMillisecondsMax } from './limits.ts'
import type { Group } from './live-message.ts'

export interface Outgoing {
  readonly group: Group
  readonly key: number
  readonly content: Buffer | undefined
}

export class Deliverer {
  readonly connection: FrameConnection
  /** Attempts it can hold at once; 0 until it has said `ready`. */
  capacity = 0
  /** It has asked for no more. */
  retired = false
  /** By ref; the oldest first. */
  private readonly inFlight = new Map<number, { group: Group; sentMs: number }>()
  private readonly clock: Clock
  private readonly waiting: Outgoing[] = []
  private lastRef = 0

  constructor(connection: FrameConnection, clock: Clock) {
    this.connection = connection
    this.clock = clock
  }

  get load(): number {
    return this.inFlight.size + this.waiting.length
  }

  get hasRoom(): boolean {
    return !this.retired && this.load < this.capacity
  }

  send(outgoing: Outgoing): void {
    if (this.inFlight.size >= this.capacity) this.waiting.push(outgoing)
    else this.transmit(outgoing)
  }

  ready(capacity: number): void {
    this.capacity = capacity
    this.sendWaiting()
  }

  /** The group that the report is for. Throws ContractError if there is none, or the counts differ. */
  reported(ref: number, statuses: readonly Status[]): Group {
    const wanted = this.inFlight.get(ref)?.group.positions.length ?? statuses.length
    if (statuses.length !== wanted) throw new ContractError(`${statuses.length} statuses for an attempt`)
    return this.taken(ref)
  }

  /** The group that it gives back. Throws ContractError if there is none. */
  taken(ref: number): Group {
    const group = this.inFlight.get(ref)?.group
    if (group === undefined) throw new ContractError(`report for unknown attempt ${ref}`)
    this.inFlight.delete(ref)
    this.sendWaiting()
    return group
  }

  /** The connection is gone: what was not reported, begun first. */
  lost(): { begun: Group[]; waiting: Group[] } {
    return {
      begun: [...this.inFlight.values()].map(({ group }) => group),
      waiting: this.waiting.map((outgoing) => outgoing.group),
    }
  }

  /** An attempt has been without a report for longer than any may take: whoever is there does not work any more. */
  get isStuck(): boolean {
    const [oldest] = this.inFlight.values()
    return oldest !== undefined && this.clock.monotonic() - oldest.sentMs > attemptMillisecondsMax
  }

  /** The attempt in flight whose content this token names. */
  groupWithToken(messageId: number, token: ByteString): Group | undefined {
    if (token === '') return undefined
    for (const { group } of this.inFlight.values()) {
      if (group.token === token && group.pass.live.message.id === messageId) return group
    }
    return undefined
  }

  private sendWaiting(): void {
    while (this.waiting.length > 0 && this.inFlight.size < this.capacity) {
      const next = this.waiting.shift()
      if (next !== undefined) this.transmit(next)
    }
  }

  private transmit({ group, key, content }: Outgoing): void {
    this.lastRef = (this.lastRef + 1) % 0x1_0000_0000
    this.inFlight.set(this.lastRef, { group, sentMs: this.clock.monotonic() })
    const { message } = group.pass.live
    this.connection.send(
      encodeToDeliverer({
        kind: 'attempt',
        ref: this.lastRef,
        messageId: message.id,
        key,
        sender: group.sender,
        recipients: group.positions.map((position) => message.recipients[position]?.address ?? ''),
        params: message.params,
        contentBytes: message.bytes,
        content,
        token: group.token,
      }),
    )
  }
}
