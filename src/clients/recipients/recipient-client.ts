/** Asks lspawn about recipients, and remembers the answers for a short while.
 *  Fails:  never rejects: what cannot be found out in time is `unknown`, with the reason as its rule. */
import type { Socket } from 'node:net'
import type { ByteString } from '../../base/byte-string.ts'
import { FreshMap } from '../../base/fresh-map.ts'
import { describeError } from '../../base/outcome.ts'
import {
  decodeRecipientAnswer,
  encodeRecipientQuestion,
  type RecipientAnswer,
  type RecipientVerdict,
} from '../../contracts/recipients.ts'
import type { Clock } from '../../system/clock.ts'
import { QuestionLink } from '../question-link.ts'

export interface RecipientFinding {
  readonly verdict: RecipientVerdict
  /** What decided, in a few words. */
  readonly rule: string
}

const answerMillisecondsMax = 5_000
/** A mailbox that was just made, or emptied, is found soon; one that was just removed bounces for a while. */
const rememberMilliseconds = { exists: 60_000, absent: 5_000, full: 5_000, unknown: 0 } as const
const rememberedMax = 20_000

export class RecipientClient {
  private readonly clock: Clock
  private readonly link: QuestionLink<RecipientAnswer>
  private readonly remembered = new FreshMap<RecipientFinding>(rememberedMax)

  constructor(connect: () => Promise<Socket>, clock: Clock) {
    this.clock = clock
    const decode = decodeRecipientAnswer
    this.link = new QuestionLink({ to: 'lspawn', purpose: 'recipients', clock, connect, decode })
  }

  /** `address` as routed to the local channel. At once if it is remembered. */
  find(address: ByteString): RecipientFinding | Promise<RecipientFinding> {
    return this.remembered.get(address, this.clock.monotonic()) ?? this.ask(address)
  }

  close(): void {
    this.link.close()
  }

  private async ask(address: ByteString): Promise<RecipientFinding> {
    try {
      const { verdict, rule } = await this.link.ask(
        (ref) => encodeRecipientQuestion({ ref, address }),
        answerMillisecondsMax,
      )
      const finding = { verdict, rule }
      const milliseconds = rememberMilliseconds[verdict]
      if (milliseconds > 0) this.remembered.set(address, finding, this.clock.monotonic() + milliseconds)
      return finding
    } catch (error) {
      return { verdict: 'unknown', rule: describeError(error) }
    }
  }
}
