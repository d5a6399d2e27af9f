/** Serves smtpd's questions about recipients on `lspawn-recipients`. Hostile input: an address within limits, or the
 *  connection ends. */
import type { Server, Socket } from 'node:net'
import { ContractError } from '../../contracts/frame.ts'
import { decodeHello } from '../../contracts/hello.ts'
import { decodeRecipientQuestion, encodeRecipientAnswer, type RecipientQuestion } from '../../contracts/recipients.ts'
import { FrameConnection, serveDescriptor } from '../../system/frame-connection.ts'
import type { Log } from '../../system/log.ts'
import { checkRecipient, type RecipientWorld } from './recipient-check.ts'

/** At once, on all connections; more are answered `unknown`. */
const runningMax = 1000
const connectionsMax = 64

export class RecipientQuestions {
  private readonly world: RecipientWorld
  private readonly log: Log
  private server: Server | undefined
  private running = 0

  constructor(world: RecipientWorld, log: Log) {
    this.world = world
    this.log = log
  }

  serve(fd: number): void {
    this.server = serveDescriptor(fd, (socket) => this.accept(socket))
    this.server.maxConnections = connectionsMax
  }

  close(): void {
    this.server?.close()
  }

  private accept(socket: Socket): void {
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (first) => {
        if (decodeHello(first).purpose !== 'recipients') throw new ContractError('not a recipients connection')
        connection.handOver({
          onFrame: (frame) => void this.answer(connection, decodeRecipientQuestion(frame)),
          onClose: this.closed,
        })
      },
      onClose: this.closed,
    })
  }

  private readonly closed = (reason: string): void => {
    if (reason !== '') this.log(`warning: connection on lspawn-recipients closed: ${reason}`)
  }

  private async answer(connection: FrameConnection, { ref, address }: RecipientQuestion): Promise<void> {
    if (this.running >= runningMax) {
      connection.send(encodeRecipientAnswer({ ref, verdict: 'unknown', rule: 'too many questions at once' }))
      return
    }
    this.running++
    try {
      connection.send(encodeRecipientAnswer({ ref, ...(await checkRecipient(address, this.world)) }))
    } finally {
      this.running--
    }
  }
}
