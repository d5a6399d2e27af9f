/** Asks `queue` or `start` one thing over its admin socket.
 *  Fails:  throws AdminError: `down` if no program serves the socket, `refused` with the other program's text, `broken` else. */
import type { Socket } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import { AdminReplyReader, encodeAdminRequest } from '../../contracts/admin.ts'
import { encodeHello } from '../../contracts/hello.ts'
import type { Clock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { connectPath, FrameConnection } from '../../system/frame-connection.ts'

export class AdminError extends Error {
  override name = 'AdminError'
  readonly kind: 'down' | 'refused' | 'broken' | 'forbidden'

  constructor(kind: 'down' | 'refused' | 'broken' | 'forbidden', text: string) {
    super(text)
    this.kind = kind
  }
}

const answerMillisecondsMax = 20_000

/** Resolves at the end of the answer. The time limit is on each row, not on the whole. */
export async function ask(
  path: string,
  request: object,
  onRow: (row: unknown) => void,
  clock: Clock,
  millisecondsMax: number = answerMillisecondsMax,
): Promise<void> {
  const socket = await connect(path)
  const reader = new AdminReplyReader()
  await new Promise<void>((resolve, reject) => {
    let cancel = (): void => undefined
    const settle = (end: () => void): void => {
      cancel()
      end()
      connection.destroy('')
    }
    const fail = (kind: AdminError['kind'], text: string): void => settle(() => reject(new AdminError(kind, text)))
    const wait = (): void => {
      cancel()
      cancel = clock.after(millisecondsMax, () => fail('broken', `no answer on ${path} in ${millisecondsMax / 1000} s`))
    }
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame(frame) {
        wait()
        try {
          const reply = reader.read(frame)
          if (reply === undefined) return
          if (reply.kind === 'row') onRow(reply.row)
          else if (reply.kind === 'error') fail('refused', reply.text)
          else settle(resolve)
        } catch (error) {
          fail('broken', describeError(error))
        }
      },
      // After a settled answer this has no effect.
      onClose: (reason) => fail('broken', `the answer on ${path} broke off ${reason}`.trimEnd()),
    })
    wait()
    connection.send(encodeHello({ purpose: 'admin', uid: 0 }))
    connection.send(encodeAdminRequest(request))
  })
}

/** All rows at once. */
export async function askAll(
  path: string,
  request: object,
  clock: Clock,
  millisecondsMax: number = answerMillisecondsMax,
): Promise<unknown[]> {
  const rows: unknown[] = []
  await ask(path, request, (row) => rows.push(row), clock, millisecondsMax)
  return rows
}

async function connect(path: string): Promise<Socket> {
  try {
    return await connectPath(path)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ECONNREFUSED') throw new AdminError('down', `nobody serves ${path}`)
    if (code === 'EACCES') throw new AdminError('forbidden', `${path}: this account may not connect`)
    throw new AdminError('broken', `${path}: ${describeError(error)}`)
  }
}
