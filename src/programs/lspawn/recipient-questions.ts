/** Serves smtpd's questions about recipients on `lspawn-recipients`. Hostile input: an address within limits, or the
 *  connection ends. */
import { decodeRecipientQuestion, encodeRecipientAnswer, type RecipientQuestion } from '../../contracts/recipients.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import { FrameServer } from '../../system/frame-server.ts'
import type { Log } from '../../system/log.ts'
import { checkRecipient, type RecipientWorld } from '../../stores/users/recipient-check.ts'

/** At once, on all connections; more are answered `unknown`. */
const runningMax = 1000

export class RecipientQuestions {
  private readonly world: RecipientWorld
  private readonly server: FrameServer
  private running = 0

  constructor(fd: number, world: RecipientWorld, log: Log) {
    this.world = world
    this.server = new FrameServer(fd, {
      socket: 'lspawn-recipients',
      purpose: 'recipients',
      clock: world.clock,
      log,
      accept: (connection) => {
        return {
          onFrame: (frame) => void this.answer(connection, decodeRecipientQuestion(frame)),
          onClose: () => undefined,
        }
      },
    })
  }

  close(): void {
    this.server.close()
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
