/** lspawn's own connection to the queue, made again whenever it is lost. The queue's frames are hostile input.
 *  Fails:  never; it tries again, slower each time. */
import { describeError } from '../../base/outcome.ts'
import { decodeToDeliverer, encodeFromDeliverer, type FromDeliverer } from '../../contracts/deliver.ts'
import { ContractError } from '../../contracts/frame.ts'
import { encodeHello } from '../../contracts/hello.ts'
import { type Clock, within } from '../../system/clock.ts'
import { connectPath, FrameConnection } from '../../system/frame-connection.ts'
import type { Log } from '../../system/log.ts'
import type { Resolver } from './resolver.ts'

const capacity = 1000
/** The queue sends no more than it was told to; what comes beyond is not answered but ended. */
const resolvesAtOnceMax: number = 64 * capacity
const connectMillisecondsMax = 10_000
const backoffMillisecondsMin = 50
const backoffMillisecondsMax = 2_000

export class QueueLink {
  private readonly path: string
  private readonly resolver: Resolver
  private readonly clock: Clock
  private readonly log: Log
  private connection: FrameConnection | undefined
  private open = 0
  private backoff = backoffMillisecondsMin
  private stopped = false

  constructor(path: string, resolver: Resolver, clock: Clock, log: Log) {
    this.path = path
    this.resolver = resolver
    this.clock = clock
    this.log = log
  }

  /** `onConnected` is called each time. */
  async connect(onConnected: () => void): Promise<void> {
    while (!this.stopped) {
      try {
        const socket = await within(this.clock, connectMillisecondsMax, 'queue', connectPath(this.path))
        this.serve(new FrameConnection(socket, { onFrame: () => undefined, onClose: () => undefined }), onConnected)
        onConnected()
        return
      } catch (error) {
        this.log(`cannot reach the queue: ${describeError(error)}`)
        await this.pause()
      }
    }
  }

  stop(): void {
    this.stopped = true
    this.connection?.end()
  }

  private serve(connection: FrameConnection, onConnected: () => void): void {
    this.connection = connection
    connection.handOver({
      onFrame: (frame) => {
        this.backoff = backoffMillisecondsMin
        const message = decodeToDeliverer(frame)
        if (message?.kind !== 'resolve') throw new ContractError(`unexpected frame type ${frame.type}`)
        if (this.open >= resolvesAtOnceMax) throw new ContractError(`${this.open} resolves at once`)
        void this.resolve(connection, message.ref, message.recipient)
      },
      onClose: (reason) => {
        if (this.stopped) return
        this.log(`lost the queue ${reason}`.trimEnd())
        void this.pause().then(() => this.connect(onConnected))
      },
    })
    connection.send(encodeHello({ purpose: 'lspawn', uid: 0 }))
    connection.send(encodeFromDeliverer({ kind: 'ready', capacity }))
  }

  private async resolve(connection: FrameConnection, ref: number, recipient: string): Promise<void> {
    this.open++
    const answer = await this.resolver.resolve(recipient)
    this.open--
    const message: FromDeliverer =
      answer.kind === 'resolved'
        ? { kind: 'resolved', ref, uid: answer.uid, key: answer.key }
        : { kind: 'unresolved', ref, status: answer.status }
    connection.send(encodeFromDeliverer(message))
  }

  private async pause(): Promise<void> {
    const milliseconds = this.backoff
    this.backoff = Math.min(2 * this.backoff, backoffMillisecondsMax)
    // Keeps the process alive, which a Clock's timer does not.
    await new Promise<void>((resolve) => setTimeout(resolve, milliseconds))
  }
}
