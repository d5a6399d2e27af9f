/** run/start.sock: status, stop, reload. Who may connect is who may write to the socket file. */
import type { Socket } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import { type AdminReply, decodeAdminRequest, encodeAdminReply } from '../../contracts/admin.ts'
import { ContractError } from '../../contracts/frame.ts'
import { decodeHello, type Hello } from '../../contracts/hello.ts'
import type { Clock } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'

const requestMillisecondsMax = 5000

export interface Operations {
  /** Rows for `status`. */
  status(): Promise<readonly object[]>
  reload(): void
  /** Resolves when everything has stopped. */
  stop(): Promise<void>
}

export function serveAdmin(socket: Socket, operations: Operations, clock: Clock): void {
  let greeted = false
  let asked = false
  const connection = new FrameConnection(socket, {
    onFrame(frame) {
      if (asked) return
      try {
        if (!greeted) return greet(decodeHello(frame))
        asked = true
        void answer(operationIn(decodeAdminRequest(frame)))
      } catch (error) {
        asked = true
        finish({ kind: 'error', text: describeError(error) })
      }
    },
    onClose: () => undefined,
  })
  clock.after(requestMillisecondsMax, () => {
    if (!asked) connection.destroy('')
  })

  function greet({ purpose }: Hello): void {
    if (purpose !== 'admin') throw new ContractError(`${purpose} on the admin socket`)
    greeted = true
  }

  async function answer(operation: string): Promise<void> {
    if (operation === 'status') {
      for (const row of await operations.status()) connection.send(encodeAdminReply({ kind: 'row', row }))
    } else if (operation === 'reload') operations.reload()
    else if (operation === 'stop') await operations.stop()
    else return finish({ kind: 'error', text: `start knows status, reload and stop, not '${operation}'` })
    finish({ kind: 'end' })
  }

  function finish(reply: AdminReply): void {
    connection.send(encodeAdminReply(reply))
    connection.end()
  }
}

function operationIn(request: unknown): string {
  if (typeof request !== 'object' || request === null || !('op' in request) || typeof request.op !== 'string')
    throw new Error("a request has a text 'op'")
  return request.op
}
