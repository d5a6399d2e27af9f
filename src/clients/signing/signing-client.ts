/** Asks the signer for a message's DKIM-Signature.
 *  Fails:  never rejects: no connection and no answer in time are `failed`. */
import type { Socket } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import { decodeSignAnswer, encodeSignQuestion, type SignAnswer, type SignQuestion } from '../../contracts/signing.ts'
import type { Clock } from '../../system/clock.ts'
import { QuestionLink } from '../question-link.ts'

/** Covers a restart of the signer: until then its socket's backlog holds the question. */
const answerMillisecondsMax = 20_000

export class SigningClient {
  private readonly link: QuestionLink<SignAnswer>

  constructor(connect: () => Promise<Socket>, clock: Clock) {
    this.link = new QuestionLink({ to: 'signer', purpose: 'signing', clock, connect, decode: decodeSignAnswer })
  }

  async ask(question: Omit<SignQuestion, 'ref'>): Promise<SignAnswer> {
    try {
      return await this.link.ask((ref) => encodeSignQuestion({ ref, ...question }), answerMillisecondsMax)
    } catch (error) {
      return { kind: 'failed', ref: 0, why: describeError(error) }
    }
  }

  close(): void {
    this.link.close()
  }
}
