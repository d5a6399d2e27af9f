/** Serves smtpd's questions about recipients on `lspawn-recipients`. Hostile input: an address within limits, or the
 *  connection ends. */
import { decodeRecipientQuestion, encodeRecipientAnswer, type RecipientQuestion } from '../../contracts/recipients.ts'
import type { UserLookup } from '../../stores/users/lookup-user.ts'
import type { Clock } from '../../system/clock.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import { FrameServer } from '../../system/frame-server.ts'
import type { Log } from '../../system/log.ts'
import { checkRecipient } from './recipient-check.ts'

/** At once, on all connections; more are answered `unknown`. */
const runningMax = 1000

export class RecipientQuestions {
  private readonly users: Pick<UserLookup, 'lookup'>
  private readonly clock: Clock
  private readonly server: FrameServer
  private running = 0

  constructor(fd: number, users: Pick<UserLookup, 'lookup'>, clock: Clock, log: Log) {
    this.users = users
    this.clock = clock
    this.server = new FrameServer(fd, {
      socket: 'lspawn-recipients',
      purpose: 'recipients',
      clock,
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
      connection.send(encodeRecipientAnswer({ ref, ...(await checkRecipient(address, this.users, this.clock)) }))
    } finally {
      this.running--
    }
  }
}
