/** The connection to the queue: takes attempts, gives reports, reconnects after a loss.
 *  Knows:  the deliver contract, back-off, an orderly stop.
 *  Never:  reports on another connection than the one an attempt came on: the queue has deferred it then. */
import type { Socket } from 'node:net'
import { Link } from '../../clients/link.ts'
import type { Status } from '../../base/outcome.ts'
import { type Attempt, decodeToDeliverer, encodeFromDeliverer } from '../../contracts/deliver.ts'
import type { Frame } from '../../contracts/frame.ts'
import { type Clock, within } from '../../system/clock.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import type { Log } from '../../system/log.ts'

const backOffMilliseconds = { min: 100, max: 10_000 } as const
const connectMillisecondsMax = 30_000
/** The queue answers `retire` at once; without an answer it counts as gone. */
const retireMillisecondsMax = 2_000
/** `start` allows a stop 20 s. */
const finishMillisecondsMax = 15_000

export interface LinkParts {
  readonly connect: () => Promise<Socket>
  readonly clock: Clock
  readonly log: Log
  /** The number of attempts we can hold. */
  readonly capacity: number
  /** Must not reject. */
  readonly handle: (attempt: Attempt) => Promise<readonly Status[] | 'crowded'>
}

export class QueueLink {
  private readonly parts: LinkParts
  private readonly link: Link
  private readonly running = new Set<Promise<void>>()
  private isStopping = false
  private onRetired: () => void = () => undefined

  constructor(parts: LinkParts) {
    const { connect, clock, log, capacity } = parts
    this.parts = parts
    this.link = new Link({
      to: 'the queue',
      purpose: 'remote',
      clock,
      connect,
      connectMillisecondsMax,
      backOffMilliseconds,
      opening: [encodeFromDeliverer({ kind: 'ready', capacity })],
      onFrame: (frame, connection) => this.receive(connection, frame),
      onLost: (reason) => {
        this.onRetired()
        if (!this.isStopping) log(`warning: lost the queue ${reason}`.trimEnd())
      },
      onAway: (reason) => log(`warning: cannot reach the queue: ${reason}`),
    })
  }

  /** Resolves when the first connection is made, or will be tried again. */
  start(): Promise<void> {
    return this.link.keep()
  }

  /** Takes no more attempts and lets running ones finish; the queue defers those not reported by then. */
  async stop(): Promise<void> {
    this.isStopping = true
    this.link.leave()
    const { connection } = this.link
    if (connection !== undefined) {
      const retired = new Promise<void>((resolve) => {
        this.onRetired = resolve
      })
      connection.send(encodeFromDeliverer({ kind: 'retire' }))
      await this.atMost(retireMillisecondsMax, retired)
    }
    await this.atMost(finishMillisecondsMax, Promise.all(this.running))
    this.link.close()
  }

  private receive(connection: FrameConnection, frame: Frame): void {
    const message = decodeToDeliverer(frame)
    if (message?.kind === 'retired') this.onRetired()
    if (message?.kind !== 'attempt') return
    const running = this.run(connection, message).finally(() => this.running.delete(running))
    this.running.add(running)
  }

  private async run(connection: FrameConnection, attempt: Attempt): Promise<void> {
    const statuses = await this.parts.handle(attempt)
    const { ref } = attempt
    connection.send(
      encodeFromDeliverer(statuses === 'crowded' ? { kind: 'crowded', ref } : { kind: 'report', ref, statuses }),
    )
  }

  private async atMost(milliseconds: number, promise: Promise<unknown>): Promise<void> {
    await within(this.parts.clock, milliseconds, 'stop', promise).catch(() => undefined)
  }
}
