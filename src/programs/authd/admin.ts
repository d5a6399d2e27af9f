/** authd-admin: the command line sees whose logins fail and who is locked, and forgets what it is told to. */
import type { Socket } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import { fromText, lowerAscii } from '../../base/byte-string.ts'
import { decodeAdminRequest, encodeAdminReply } from '../../contracts/admin.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import { decodeHello } from '../../contracts/hello.ts'
import type { Clock } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'
import type { LoginGuard } from './guard.ts'

const requestMillisecondsMax = 5000

export function serveAdmin(socket: Socket, guard: LoginGuard, clock: Clock): void {
  const cancel = clock.after(requestMillisecondsMax, () => connection.destroy('no request'))
  const connection: FrameConnection = new FrameConnection(socket, {
    onFrame: (first) => {
      if (decodeHello(first).purpose !== 'admin') throw new ContractError('not an admin connection')
      connection.handOver({
        onFrame: (frame) => {
          cancel()
          answer(connection, frame, guard, clock)
        },
        onClose: cancel,
      })
    },
    onClose: cancel,
  })
}

function answer(connection: FrameConnection, frame: Frame, guard: LoginGuard, clock: Clock): void {
  try {
    for (const row of rows(decodeAdminRequest(frame), guard, clock))
      connection.send(encodeAdminReply({ kind: 'row', row }))
    connection.send(encodeAdminReply({ kind: 'end' }))
  } catch (error) {
    connection.send(encodeAdminReply({ kind: 'error', text: describeError(error) }))
  }
  connection.end()
}

function rows(request: unknown, guard: LoginGuard, clock: Clock): object[] {
  if (typeof request !== 'object' || request === null) throw new Error('a request is an object')
  const fields = new Map<string, unknown>(Object.entries(request))
  const op = fields.get('op')
  if (op === 'failures') {
    return guard.list().map(({ subject, name, count, lastMs, untilMs }) => {
      return { subject, name, count, lastMs, lockedForMs: Math.max(0, untilMs - clock.now()) }
    })
  }
  if (op !== 'forgive') throw new Error(`authd knows failures and forgive, not ${JSON.stringify(op)}`)
  const who = fields.get('who')
  if (typeof who !== 'string' || who === '') throw new Error("'who' is an address of a peer, or an account")
  return [{ forgiven: guard.forgive(lowerAscii(fromText(who))) }]
}
