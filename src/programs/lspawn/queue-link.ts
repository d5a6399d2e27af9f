/** lspawn's own connection to the queue, made again whenever it is lost. The queue's frames are hostile input.
 *  Fails:  never; it tries again, slower each time. */
import { Link } from '../../clients/link.ts'
import {
  decodeToDeliverer,
  encodeFromDeliverer,
  type FromDeliverer,
  type ToDeliverer,
} from '../../contracts/deliver.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import type { Clock } from '../../system/clock.ts'
import { connectPath, type FrameConnection } from '../../system/frame-connection.ts'
import type { Log } from '../../system/log.ts'
import type { Resolver } from './resolver.ts'

type Question = Extract<ToDeliverer, { kind: 'resolve' }>

const capacity = 1000
/** The queue sends no more than it was told to; what comes beyond is not answered but ended. */
const resolvesAtOnceMax: number = 64 * capacity
const backOffMilliseconds = { min: 50, max: 2_000 } as const

export class QueueLink {
  private readonly resolver: Resolver
  private readonly link: Link
  private open = 0

  /** `onConnected` is called each time. */
  constructor(path: string, resolver: Resolver, clock: Clock, log: Log, onConnected: () => void) {
    this.resolver = resolver
    this.link = new Link({
      to: 'the queue',
      purpose: 'lspawn',
      clock,
      connect: () => connectPath(path),
      backOffMilliseconds,
      opening: [encodeFromDeliverer({ kind: 'ready', capacity })],
      onConnection: onConnected,
      onFrame: (frame, connection) => this.receive(frame, connection),
      onLost: (reason) => log(`lost the queue ${reason}`.trimEnd()),
      onAway: (reason) => log(`cannot reach the queue: ${reason}`),
    })
    void this.link.keep()
  }

  stop(): void {
    this.link.close()
  }

  private receive(frame: Frame, connection: FrameConnection): void {
    const message = decodeToDeliverer(frame)
    if (message?.kind !== 'resolve') throw new ContractError(`unexpected frame type ${frame.type}`)
    if (this.open >= resolvesAtOnceMax) throw new ContractError(`${this.open} resolves at once`)
    void this.resolve(connection, message)
  }

  private async resolve(connection: FrameConnection, { ref, messageId, recipient }: Question): Promise<void> {
    this.open++
    const answer = await this.resolver.resolve(recipient, messageId)
    this.open--
    const message: FromDeliverer =
      answer.kind === 'resolved'
        ? { kind: 'resolved', ref, uid: answer.uid, key: answer.key }
        : { kind: 'unresolved', ref, status: answer.status }
    connection.send(encodeFromDeliverer(message))
  }
}
