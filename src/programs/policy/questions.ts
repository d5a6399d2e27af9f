/** The connections of those who ask: hello, `serving`, then any number of questions at once.
 *  Knows:  limits on connections and on questions under way. Never: a check's own business.
 *  Fails:  a question that cannot be answered gets `none` with the reason; a frame that breaks the contract closes its
 *          connection. */
import type { Server, Socket } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import { decodeHello } from '../../contracts/hello.ts'
import {
  decodePolicyRequest,
  encodePolicyReply,
  type PolicyAnswer,
  type PolicyRequest,
} from '../../contracts/policy.ts'
import type { Clock } from '../../system/clock.ts'
import { FrameConnection, serveDescriptor } from '../../system/frame-connection.ts'
import type { Log } from '../../system/log.ts'
import { connectionsMax, helloMillisecondsMax, questionsMax, questionsPerConnectionMax } from './limits.ts'

export interface QuestionsParts {
  readonly clock: Clock
  readonly log: Log
  /** May reject: then there is no answer. */
  readonly answer: (request: PolicyRequest) => Promise<PolicyAnswer>
}

export class Questions {
  private readonly parts: QuestionsParts
  private readonly connections = new Set<FrameConnection>()
  private server: Server | undefined
  private underWay = 0

  constructor(parts: QuestionsParts) {
    this.parts = parts
  }

  /** Resolves when the descriptor is served. */
  async serve(fd: number): Promise<void> {
    const server = serveDescriptor(fd, (socket) => this.accept(socket))
    server.maxConnections = connectionsMax
    this.server = server
    await new Promise<void>((resolve) => server.once('listening', resolve))
  }

  /** Ends at once: an answer that does not come is no answer, and the askers know what to do. */
  close(): void {
    this.server?.close()
    for (const connection of this.connections) connection.end()
  }

  accept(socket: Socket): void {
    const { clock, log } = this.parts
    const cancel = clock.after(helloMillisecondsMax, () => connection.destroy('no hello'))
    let ownUnderWay = 0
    const onClose = (reason: string): void => {
      cancel()
      this.connections.delete(connection)
      if (reason !== '') log(`warning: connection on policy closed: ${reason}`)
    }
    const onQuestion = (frame: Frame): void => {
      const request = decodePolicyRequest(frame)
      if (ownUnderWay >= questionsPerConnectionMax || this.underWay >= questionsMax)
        return this.none(connection, request.ref, 'too many questions at once')
      ownUnderWay++
      void this.reply(connection, request).finally(() => ownUnderWay--)
    }
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (frame) => {
        cancel()
        const { purpose } = decodeHello(frame)
        if (purpose !== 'policy') throw new ContractError(`${purpose} on policy`)
        connection.handOver({ onFrame: onQuestion, onClose })
        connection.send(encodePolicyReply({ kind: 'serving' }))
      },
      onClose,
    })
    this.connections.add(connection)
  }

  private async reply(connection: FrameConnection, request: PolicyRequest): Promise<void> {
    this.underWay++
    try {
      const answer = await this.parts.answer(request)
      connection.send(encodePolicyReply({ kind: 'answer', ref: request.ref, answer }))
    } catch (error) {
      this.none(connection, request.ref, `${request.kind}: ${describeError(error)}`)
    } finally {
      this.underWay--
    }
  }

  private none(connection: FrameConnection, ref: number, why: string): void {
    connection.send(encodePolicyReply({ kind: 'none', ref, why: why.replace(/[^ -~]/g, '?') }))
  }
}
