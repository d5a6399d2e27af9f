/** smtpd-admin: the command line asks what would happen to a transaction; the live server's own code answers. */
import type { Socket } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import {
  decodeAdminRequest,
  encodeAdminReply,
  messageRequestBytesMax,
  requestMessageBytesMax,
} from '../../contracts/admin.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import { decodeHello } from '../../contracts/hello.ts'
import type { Clock } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'
import type { ExplainRequest, ExplainStep } from './explain.ts'

const requestMillisecondsMax = 5000
const recipientsMax = 20

export type Explain = (request: ExplainRequest) => AsyncGenerator<ExplainStep>

export function serveAdmin(socket: Socket, explain: Explain, clock: Clock): void {
  const cancel = clock.after(requestMillisecondsMax, () => connection.destroy('no request'))
  const connection: FrameConnection = new FrameConnection(socket, {
    onFrame: (first) => {
      if (decodeHello(first).purpose !== 'admin') throw new ContractError('not an admin connection')
      connection.handOver({
        onFrame: (frame) => {
          cancel()
          void answer(connection, frame, explain)
        },
        onClose: cancel,
      })
    },
    onClose: cancel,
  })
}

async function answer(connection: FrameConnection, frame: Frame, explain: Explain): Promise<void> {
  try {
    for await (const row of explain(readRequest(decodeAdminRequest(frame, messageRequestBytesMax)))) {
      connection.send(encodeAdminReply({ kind: 'row', row }))
    }
    connection.send(encodeAdminReply({ kind: 'end' }))
  } catch (error) {
    connection.send(encodeAdminReply({ kind: 'error', text: describeError(error) }))
  }
  connection.end()
}

function readRequest(value: unknown): ExplainRequest {
  if (typeof value !== 'object' || value === null) throw new Error('a request is an object')
  const fields = new Map<string, unknown>(Object.entries(value))
  if (fields.get('op') !== 'explain') throw new Error(`smtpd knows explain, not ${JSON.stringify(fields.get('op'))}`)
  const text = (name: string): string => {
    const found = fields.get(name)
    // One line: what comes from the command line must not become a second command.
    if (typeof found !== 'string' || /[\r\n\0]/.test(found)) throw new Error(`'${name}' is a text of one line`)
    return found
  }
  const to = fields.get('to')
  if (!Array.isArray(to) || to.length === 0 || to.length > recipientsMax)
    throw new Error(`1 to ${recipientsMax} recipients`)
  const recipients = to.map((one: unknown) => {
    if (typeof one !== 'string' || /[\r\n\0]/.test(one)) throw new Error("'to' holds texts of one line")
    return one
  })
  return { ip: text('ip'), helo: text('helo'), from: text('from'), to: recipients, message: readMessage(fields) }
}

function readMessage(fields: ReadonlyMap<string, unknown>): Buffer | undefined {
  const found = fields.get('message')
  if (found === undefined) return undefined
  const message = typeof found === 'string' ? Buffer.from(found, 'base64') : undefined
  if (message === undefined || message.length > requestMessageBytesMax)
    throw new Error(`'message' is at most ${requestMessageBytesMax} bytes in base64`)
  return message
}
