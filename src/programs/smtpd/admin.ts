/** smtpd-admin: the command line asks what would happen to a transaction; the live server's own code answers. */
import type { Socket } from 'node:net'
import { messageRequestBytesMax, requestMessageBytesMax } from '../../contracts/admin.ts'
import { readOperation, serveAdmin } from '../../system/admin-server.ts'
import type { Clock } from '../../system/clock.ts'
import type { ExplainRequest, ExplainStep } from './explain.ts'

const recipientsMax = 20

export type Explain = (request: ExplainRequest) => AsyncGenerator<ExplainStep>

export function serveExplain(socket: Socket, explain: Explain, clock: Clock): void {
  serveAdmin(socket, clock, (request) => explain(readRequest(request)), messageRequestBytesMax)
}

function readRequest(value: unknown): ExplainRequest {
  const { op, field } = readOperation(value)
  if (op !== 'explain') throw new Error(`smtpd knows explain, not '${op}'`)
  const text = (name: string): string => {
    const found = field(name)
    // One line: what comes from the command line must not become a second command.
    if (typeof found !== 'string' || /[\r\n\0]/.test(found)) throw new Error(`'${name}' is a text of one line`)
    return found
  }
  const to = field('to')
  if (!Array.isArray(to) || to.length === 0 || to.length > recipientsMax)
    throw new Error(`1 to ${recipientsMax} recipients`)
  const recipients = to.map((one: unknown) => {
    if (typeof one !== 'string' || /[\r\n\0]/.test(one)) throw new Error("'to' holds texts of one line")
    return one
  })
  return {
    ip: text('ip'),
    helo: text('helo'),
    from: text('from'),
    to: recipients,
    message: readMessage(field('message')),
  }
}

function readMessage(found: unknown): Buffer | undefined {
  if (found === undefined) return undefined
  const message = typeof found === 'string' ? Buffer.from(found, 'base64') : undefined
  if (message === undefined || message.length > requestMessageBytesMax)
    throw new Error(`'message' is at most ${requestMessageBytesMax} bytes in base64`)
  return message
}
