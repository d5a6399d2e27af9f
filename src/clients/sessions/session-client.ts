/** From a ticket to the user's own `local`: asks lspawn, connects, and hands over a socket on which the local has begun
 *  to speak.
 *  Fails:  with a reason of the sessions contract; never rejects. */
import type { Socket } from 'node:net'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { encodeHello } from '../../contracts/hello.ts'
import {
  decodeOpenReply,
  encodeOpenRequest,
  encodeSessionStart,
  type OpenReply,
  type Refusal,
  type SessionFacts,
  type SessionPeer,
} from '../../contracts/sessions.ts'
import { type Clock, within } from '../../system/clock.ts'
import { connectPath } from '../../system/frame-connection.ts'
import { QuestionLink } from '../question-link.ts'

/** A `local` may have to be started; a large maildrop is read before its first word. */
const openMillisecondsMax = 20_000
const firstWordMillisecondsMax = 60_000
/** A `local` may be leaving just when it is told of a session: lspawn then takes the ticket once more. */
const triesMax = 2

export type BegunSession =
  /** Paused; what it has said is still to be read. */
  | { readonly kind: 'begun'; readonly socket: Socket; readonly first: Buffer }
  | { readonly kind: 'refused'; readonly why: Refusal; readonly logText: string }

export interface TicketHolder {
  readonly ticket: ByteString
  readonly peer: SessionPeer
  readonly facts: SessionFacts
}

export class SessionClient {
  private readonly clock: Clock
  private readonly link: QuestionLink<OpenReply>

  constructor(connect: () => Promise<Socket>, clock: Clock) {
    this.clock = clock
    const answerMillisecondsMax = openMillisecondsMax
    this.link = new QuestionLink({ purpose: 'login', clock, answerMillisecondsMax, connect, decode: decodeOpenReply })
  }

  async begin(holder: TicketHolder): Promise<BegunSession> {
    let logText = ''
    for (let tries = 0; tries < triesMax; tries++) {
      try {
        const { ticket, peer } = holder
        const reply = await this.link.ask((ref) => encodeOpenRequest({ ref, ticket, peer }))
        // A second `unknown` only says that the first try had used the ticket up.
        if (reply.kind === 'refused') {
          const why = tries > 0 && reply.why === 'unknown' ? 'temporary' : reply.why
          return { kind: 'refused', why, logText: logText === '' ? reply.why : logText }
        }
        return await this.enter(reply.path, reply.token, holder.facts)
      } catch (error) {
        logText = describeError(error)
      }
    }
    return { kind: 'refused', why: 'temporary', logText }
  }

  close(): void {
    this.link.close()
  }

  private async enter(path: string, token: ByteString, facts: SessionFacts): Promise<BegunSession> {
    const socket = await within(this.clock, openMillisecondsMax, 'local', connectPath(path))
    socket.on('error', () => undefined)
    try {
      socket.write(Buffer.concat([encodeHello({ purpose: 'session', uid: 0 }), encodeSessionStart({ token, facts })]))
      const first = await within(this.clock, firstWordMillisecondsMax, 'local', firstBytes(socket))
      return { kind: 'begun', socket, first }
    } catch (error) {
      socket.destroy()
      throw error
    }
  }
}

function firstBytes(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new Error('the local has closed without a word'))
    socket.once('close', gone)
    socket.once('end', gone)
    socket.once('data', (bytes: Buffer) => {
      socket.pause()
      socket.off('close', gone)
      socket.off('end', gone)
      resolve(bytes)
    })
  })
}
