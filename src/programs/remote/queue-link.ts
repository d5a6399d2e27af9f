/** The connection to the queue: takes attempts, gives reports, comes back when it was lost.
 *  Knows:  the deliver contract, back-off, an orderly retreat.
 *  Never:  reports on another connection than the one an attempt came on: the queue has deferred it then. */
import type { Socket } from 'node:net'
import { describeError, type Status } from '../../base/outcome.ts'
import { type Attempt, decodeToDeliverer, encodeFromDeliverer } from '../../contracts/deliver.ts'
import type { Frame } from '../../contracts/frame.ts'
import { encodeHello } from '../../contracts/hello.ts'
import { type Clock, within } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'
import type { Log } from '../../system/log.ts'

const backOffMillisecondsMin = 100
const backOffMillisecondsMax = 10_000
const connectMillisecondsMax = 30_000
/** The queue answers `retire` at once; if it does not, it is gone. */
const retireMillisecondsMax = 2_000
/** `start` allows a stop 20 s. */
const finishMillisecondsMax = 15_000

export interface LinkParts {
  readonly connect: () => Promise<Socket>
  readonly clock: Clock
  readonly log: Log
  /** How many attempts we can hold. */
  readonly capacity: number
  /** Must not reject. */
  readonly handle: (attempt: Attempt) => Promise<readonly Status[] | 'crowded'>
}

export class QueueLink {
  private readonly parts: LinkParts
  private readonly running = new Set<Promise<void>>()
  private connection: FrameConnection | undefined
  private backOff = backOffMillisecondsMin
  private stopping = false
  private onRetired: () => void = () => undefined

  constructor(parts: LinkParts) {
    this.parts = parts
  }

  /** Resolves when the first connection is made, or will be tried again. */
  async start(): Promise<void> {
    const { clock, log, capacity } = this.parts
    try {
      const socket = await within(clock, connectMillisecondsMax, 'queue', this.parts.connect())
      const connection: FrameConnection = new FrameConnection(socket, {
        onFrame: (frame) => this.receive(connection, frame),
        onClose: (reason) => this.lost(reason),
      })
      this.connection = connection
      connection.send(encodeHello({ purpose: 'remote', uid: 0 }))
      connection.send(encodeFromDeliverer({ kind: 'ready', capacity }))
    } catch (error) {
      if (this.backOff === backOffMillisecondsMin) log(`warning: cannot reach the queue: ${describeError(error)}`)
      this.againLater()
    }
  }

  /** Asks for no more, lets what runs finish; what is not reported by then is deferred by the queue. */
  async stop(): Promise<void> {
    this.stopping = true
    const { connection } = this
    if (connection !== undefined && !connection.closed) {
      const retired = new Promise<void>((resolve) => {
        this.onRetired = resolve
      })
      connection.send(encodeFromDeliverer({ kind: 'retire' }))
      await this.atMost(retireMillisecondsMax, retired)
    }
    await this.atMost(finishMillisecondsMax, Promise.all(this.running))
    connection?.end()
  }

  private receive(connection: FrameConnection, frame: Frame): void {
    const message = decodeToDeliverer(frame)
    this.backOff = backOffMillisecondsMin
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

  private lost(reason: string): void {
    this.connection = undefined
    this.onRetired()
    if (this.stopping) return
    this.parts.log(`warning: lost the queue ${reason}`.trimEnd())
    this.againLater()
  }

  private againLater(): void {
    if (this.stopping) return
    const pause = this.backOff
    this.backOff = Math.min(2 * pause, backOffMillisecondsMax)
    // A plain timer: with no connection it is all that keeps the process alive.
    setTimeout(() => {
      if (!this.stopping) void this.start()
    }, pause)
  }

  private async atMost(milliseconds: number, promise: Promise<unknown>): Promise<void> {
    await within(this.parts.clock, milliseconds, 'stop', promise).catch(() => undefined)
  }
}
