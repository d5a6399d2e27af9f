/** What each mailbox has sent in the last hour, in this process, which stays for as long as that matters. An hour is sixty
 *  minutes, each counted as a whole. */
import type { ByteString } from '../../../base/byte-string.ts'
import type { Clock } from '../../../system/clock.ts'

const minuteMilliseconds = 60_000
const minutes = 60

export interface Allowance {
  /** 0: no limit. */
  readonly messages: number
  readonly recipients: number
}

interface Minute {
  readonly number: number
  messages: number
  recipients: number
}

interface Sender {
  /** The oldest first. */
  past: Minute[]
  alertedAt: number | undefined
}

export class Usage {
  private readonly clock: Clock
  /** Of one uid, by home: whoever logs in may spell his name in many ways. */
  private readonly senders = new Map<ByteString, Sender>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** May whoever has the home send one more message, to so many recipients? */
  allows(home: ByteString, recipients: number, allowance: Allowance): boolean {
    const sent = this.sent(home)
    if (allowance.messages > 0 && sent.messages >= allowance.messages) return false
    return allowance.recipients === 0 || sent.recipients + recipients <= allowance.recipients
  }

  /** Negative counts give back what was counted and not sent. */
  count(home: ByteString, messages: number, recipients: number): void {
    const { past } = this.of(home)
    const number = Math.floor(this.clock.monotonic() / minuteMilliseconds)
    const last = past.at(-1)
    if (last?.number === number) {
      last.messages += messages
      last.recipients += recipients
    } else past.push({ number, messages, recipients })
  }

  /** Milliseconds for which this is to be remembered: whoever waits for so long has not got more than the allowance for
   *  the time. A few messages are forgotten soon. */
  worthMilliseconds(home: ByteString, allowance: Allowance): number {
    const sent = this.sent(home)
    const share = (used: number, allowed: number): number => (allowed === 0 ? 0 : Math.min(1, used / allowed))
    const used = Math.max(share(sent.messages, allowance.messages), share(sent.recipients, allowance.recipients))
    return used * minutes * minuteMilliseconds
  }

  sent(home: ByteString): { readonly messages: number; readonly recipients: number } {
    const known = this.of(home)
    const oldest = Math.floor(this.clock.monotonic() / minuteMilliseconds) - minutes
    known.past = known.past.filter(({ number }) => number > oldest)
    let [messages, recipients] = [0, 0]
    for (const minute of known.past) {
      messages += minute.messages
      recipients += minute.recipients
    }
    return { messages, recipients }
  }

  /** True once an hour for each home: somebody is to be told. */
  isNews(home: ByteString): boolean {
    const known = this.of(home)
    const now = this.clock.monotonic()
    if (known.alertedAt !== undefined && now - known.alertedAt < minutes * minuteMilliseconds) return false
    known.alertedAt = now
    return true
  }

  private of(home: ByteString): Sender {
    const known = this.senders.get(home) ?? { past: [], alertedAt: undefined }
    this.senders.set(home, known)
    return known
  }
}
