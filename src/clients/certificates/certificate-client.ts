/** Asks start for a certificate request, and hands over the chain that an authority issued.
 *  Fails:  never rejects: no connection and no answer in time are `refused`. */
import type { Socket } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import {
  type CertificateAnswer,
  decodeCertificateAnswer,
  encodeCertificateQuestion,
} from '../../contracts/certificates.ts'
import type { Clock } from '../../system/clock.ts'
import { QuestionLink } from '../question-link.ts'

/** A key may have to be made first, and a disk may be slow. */
const answerMillisecondsMax = 30_000

export class CertificateClient {
  private readonly link: QuestionLink<CertificateAnswer>

  constructor(connect: () => Promise<Socket>, clock: Clock) {
    const decode = decodeCertificateAnswer
    this.link = new QuestionLink({ to: 'start', purpose: 'certificates', clock, connect, decode })
  }

  /** `without`: names to leave out of the request. */
  ask(without: readonly string[]): Promise<CertificateAnswer> {
    return this.send((ref) => encodeCertificateQuestion({ kind: 'ask', ref, without }))
  }

  install(chainPem: string): Promise<CertificateAnswer> {
    return this.send((ref) => encodeCertificateQuestion({ kind: 'install', ref, chainPem }))
  }

  close(): void {
    this.link.close()
  }

  private async send(question: (ref: number) => Uint8Array): Promise<CertificateAnswer> {
    try {
      return await this.link.ask(question, answerMillisecondsMax)
    } catch (error) {
      return { kind: 'refused', ref: 0, why: describeError(error) }
    }
  }
}
