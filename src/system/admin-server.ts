/** Answers the command line: one request on a connection, any number of rows, then the end or an error (contracts/admin.ts).
 *  Fails:  an exception from the request, or from making rows, is the error that the command line shows. */
import type { Socket } from 'node:net'
import { describeError } from '../base/outcome.ts'
import { decodeAdminRequest, encodeAdminReply } from '../contracts/admin.ts'
import { ContractError, type Frame } from '../contracts/frame.ts'
import { decodeHello } from '../contracts/hello.ts'
import type { Clock } from './clock.ts'
import { FrameConnection } from './frame-connection.ts'

const requestMillisecondsMax = 5000

/** The request is unchecked JSON: the function must check its shape first. */
export type AdminRows = (request: unknown) => Iterable<object> | AsyncIterable<object> | Promise<Iterable<object>>

/** Write permission on the socket file is permission to connect. `bytesMax`: of a request, where it needs more than others. */
export function serveAdmin(socket: Socket, clock: Clock, rows: AdminRows, bytesMax?: number): void {
  const cancel = clock.after(requestMillisecondsMax, () => connection.destroy('no request'))
  const ignored = (): void => undefined
  const connection: FrameConnection = new FrameConnection(socket, {
    onFrame(first) {
      const { purpose } = decodeHello(first)
      if (purpose !== 'admin') throw new ContractError(`${purpose} on an admin socket`)
      connection.handOver({
        onFrame(frame) {
          cancel()
          connection.handOver({ onFrame: ignored, onClose: ignored })
          void answerAdmin(connection, frame, rows, bytesMax)
        },
        onClose: cancel,
      })
    },
    onClose: cancel,
  })
}

export async function answerAdmin(
  connection: FrameConnection,
  frame: Frame,
  rows: AdminRows,
  bytesMax?: number,
): Promise<void> {
  try {
    for await (const row of await rows(decodeAdminRequest(frame, bytesMax))) {
      connection.send(encodeAdminReply({ kind: 'row', row }))
      await connection.pressure()
    }
    connection.send(encodeAdminReply({ kind: 'end' }))
  } catch (error) {
    connection.send(encodeAdminReply({ kind: 'error', text: describeError(error) }))
  }
  connection.end()
}

/** What a request asks for, and its fields; undefined for a field that is not there. */
export function readOperation(request: unknown): { readonly op: string; field(name: string): unknown } {
  if (typeof request !== 'object' || request === null) throw new Error('a request is an object')
  const fields = new Map<string, unknown>(Object.entries(request))
  return { op: String(fields.get('op')), field: (name) => fields.get(name) }
}
