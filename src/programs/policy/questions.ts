/** The connections of clients with questions: `serving`, then any number of questions at once.
 *  Knows:  limits on connections and on open questions. Never: what a check does.
 *  Fails:  a question that cannot be answered gets `none` with the reason; a frame that breaks the contract closes its
 *          connection. */
import { describeError } from '../../base/outcome.ts'
import {
  decodePolicyNotice,
  decodePolicyRequest,
  dnsListsMax,
  encodePolicyReply,
  type PolicyAnswer,
  type PolicyNotice,
  type PolicyRequest,
} from '../../contracts/policy.ts'
import { ContractError } from '../../contracts/frame.ts'
import { policyFieldBytesMax } from '../../contracts/policy-fields.ts'
import type { Clock } from '../../system/clock.ts'
import type { FrameConnection, FrameHandlers } from '../../system/frame-connection.ts'
import { FrameServer } from '../../system/frame-server.ts'
import type { Log } from '../../system/log.ts'
import { connectionsMax, questionsMax, questionsPerConnectionMax } from './limits.ts'

export interface QuestionsParts {
  readonly clock: Clock
  readonly log: Log
  /** If it rejects, the answer is `none`. */
  readonly answer: (request: PolicyRequest) => Promise<PolicyAnswer>
  /** The notice accepted here; any other breaks the contract. */
  readonly notice?: { readonly kind: PolicyNotice['kind']; readonly take: (notice: PolicyNotice) => void }
}

/** A question about many lists has long fields. */
const frameBytesMax: number = 2 * dnsListsMax * policyFieldBytesMax

export class Questions {
  private readonly parts: QuestionsParts
  private readonly server: FrameServer
  private underWay = 0

  constructor(fd: number, parts: QuestionsParts) {
    this.parts = parts
    const { clock, log } = parts
    this.server = new FrameServer(fd, {
      socket: 'policy',
      purpose: 'policy',
      clock,
      log,
      connectionsMax,
      frameBytesMax,
      accept: (connection) => this.accept(connection),
    })
  }

  listening(): Promise<void> {
    return this.server.listening()
  }

  /** Ends at once: clients take a lost connection as no answer. */
  close(): void {
    this.server.close()
  }

  private accept(connection: FrameConnection): FrameHandlers {
    let ownUnderWay = 0
    connection.send(encodePolicyReply({ kind: 'serving' }))
    return {
      onFrame: (frame) => {
        const notice = decodePolicyNotice(frame)
        if (notice !== undefined) return this.notice(notice)
        const request = decodePolicyRequest(frame)
        if (ownUnderWay >= questionsPerConnectionMax || this.underWay >= questionsMax)
          return this.none(connection, request.ref, 'too many questions at once')
        ownUnderWay++
        void this.reply(connection, request).finally(() => ownUnderWay--)
      },
      onClose: () => undefined,
    }
  }

  private notice(notice: PolicyNotice): void {
    if (this.parts.notice?.kind !== notice.kind) throw new ContractError(`${notice.kind} is not told on this socket`)
    this.parts.notice.take(notice)
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
