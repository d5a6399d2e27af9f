/** A program's own way to the queue: one shared connection for messages that go whole, made again when it was lost, and a
 *  connection for each streamed one.
 *  Never:  retries by itself: whether a message was committed before a connection died is unknown, so the peer decides. */
import type { Socket } from 'node:net'
import type { ByteString } from '../../base/byte-string.ts'
import { failed, type Outcome, transientFrom } from '../../base/outcome.ts'
import type { Envelope, Params } from '../../contracts/envelope.ts'
import type { Clock } from '../../system/clock.ts'
import { type ContentBudget, unlimited } from './content-budget.ts'
import { LinkedPort } from './linked-port.ts'
import { QueueSink, type QueueRoute } from './queue-sink.ts'
import { StreamLinks } from './stream-links.ts'
import type { Enqueuer } from './enqueuer.ts'

export class EnqueueClient implements Enqueuer {
  private readonly shared: LinkedPort
  private readonly streams: StreamLinks
  private readonly route: QueueRoute

  /** `connectUnread`: for clients to which the queue gives files for bodies. */
  constructor(
    connect: () => Promise<Socket>,
    clock: Clock,
    budget: ContentBudget = unlimited,
    connectUnread?: () => Promise<Socket>,
  ) {
    this.shared = new LinkedPort({ to: 'the queue', purpose: 'enqueue', clock, connect })
    this.streams = new StreamLinks(connect, clock, connectUnread)
    this.route = {
      to: 'the queue',
      budget,
      connect: async (manner) =>
        manner === 'streamed' ? this.streams.take() : { port: await this.shared.port(), release: () => undefined },
    }
  }

  open(envelope: Envelope, params: Params): QueueSink {
    return new QueueSink(this.route, envelope, params)
  }

  /** Would the queue take mail from that sender for that recipient? "Cannot be told now" is a temporary failure. */
  async checkAddresses(sender: ByteString, recipient: ByteString): Promise<Outcome<unknown>> {
    try {
      return await (await this.shared.port()).checkAddresses(sender, recipient)
    } catch (error) {
      return failed(transientFrom(error, 'asking the queue about an address', 'qq temporary problem'))
    }
  }

  /** Closes the shared connection, and those that wait for a streamed message; a message after that makes a new one. */
  close(): void {
    this.shared.close()
    this.streams.close()
  }
}
