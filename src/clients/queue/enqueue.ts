/** A program's own way to the queue: one shared connection for messages that go whole, made again when it was lost, and a
 *  connection for each streamed one.
 *  Never:  retries by itself: whether a message was committed before a connection died is unknown, so the peer decides. */
import type { Socket } from 'node:net'
import type { Envelope, Params } from '../../contracts/envelope.ts'
import { encodeHello } from '../../contracts/hello.ts'
import type { Clock } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'
import { type ContentBudget, unlimited } from './content-budget.ts'
import { EnqueuePort } from './enqueue-port.ts'
import { type EnqueueLink, QueueSink, type QueueRoute } from './queue-sink.ts'
import type { Taker } from './taker.ts'

export class EnqueueClient implements Taker {
  private readonly connectSocket: () => Promise<Socket>
  private readonly clock: Clock
  private readonly route: QueueRoute
  private shared: Promise<{ port: EnqueuePort; connection: FrameConnection }> | undefined

  constructor(connectSocket: () => Promise<Socket>, clock: Clock, budget: ContentBudget = unlimited) {
    this.connectSocket = connectSocket
    this.clock = clock
    this.route = {
      to: 'the queue',
      budget,
      connect: (manner) => (manner === 'whole' ? this.sharedLink() : this.ownLink()),
    }
  }

  open(envelope: Envelope, params: Params): QueueSink {
    return new QueueSink(this.route, envelope, params)
  }

  /** Closes the shared connection; a message after that makes a new one. */
  close(): void {
    void this.shared?.then(
      ({ connection }) => connection.end(),
      () => undefined,
    )
    this.shared = undefined
  }

  private async sharedLink(): Promise<EnqueueLink> {
    const forget = (): void => {
      this.shared = undefined
    }
    this.shared ??= this.connect(forget)
    try {
      const { port } = await this.shared
      return { port, release: () => undefined }
    } catch (error) {
      forget()
      throw error
    }
  }

  private async ownLink(): Promise<EnqueueLink> {
    const { port, connection } = await this.connect(() => undefined)
    return { port, release: () => connection.end() }
  }

  private async connect(onLost: () => void): Promise<{ port: EnqueuePort; connection: FrameConnection }> {
    const socket = await this.connectSocket()
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (frame) => port.handle(frame),
      onClose: (reason) => {
        onLost()
        port.connectionClosed(reason)
      },
    })
    const port = new EnqueuePort(connection, this.clock)
    connection.send(encodeHello({ purpose: 'enqueue', uid: 0 }))
    return { port, connection }
  }
}
