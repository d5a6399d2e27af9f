/** Asks lspawn about recipients, and remembers the answers for a short while.
 *  Fails:  never rejects: what cannot be found out in time is `unknown`, with the reason as its rule. */
import type { Socket } from 'node:net'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { encodeHello } from '../../contracts/hello.ts'
import { decodeRecipientAnswer, encodeRecipientQuestion, type RecipientVerdict } from '../../contracts/recipients.ts'
import type { Clock } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'

export interface RecipientFinding {
  readonly verdict: RecipientVerdict
  /** What decided, in a few words. */
  readonly rule: string
}

const answerMillisecondsMax = 5_000
/** A mailbox that was just made, or emptied, is found soon; one that was just removed bounces for a while. */
const rememberMilliseconds = { exists: 60_000, absent: 5_000, full: 5_000, unknown: 0 } as const
const rememberedMax = 20_000
const questionsMax = 5_000

export class RecipientClient {
  private readonly connectSocket: () => Promise<Socket>
  private readonly clock: Clock
  private readonly remembered = new Map<ByteString, { readonly finding: RecipientFinding; readonly until: number }>()
  private readonly waiting = new Map<number, (finding: RecipientFinding) => void>()
  private link: Promise<FrameConnection> | undefined
  private lastRef = 0

  constructor(connectSocket: () => Promise<Socket>, clock: Clock) {
    this.connectSocket = connectSocket
    this.clock = clock
  }

  /** `address` as routed to the local channel. At once if it is remembered. */
  find(address: ByteString): RecipientFinding | Promise<RecipientFinding> {
    const known = this.remembered.get(address)
    if (known !== undefined && known.until > this.clock.monotonic()) return known.finding
    return this.ask(address)
  }

  close(): void {
    void this.link?.then(
      (connection) => connection.end(),
      () => undefined,
    )
    this.link = undefined
  }

  private async ask(address: ByteString): Promise<RecipientFinding> {
    if (this.waiting.size >= questionsMax) return { verdict: 'unknown', rule: 'too many questions at once' }
    try {
      this.link ??= this.connect()
      const connection = await this.link
      const finding = await this.answer(connection, address)
      this.remember(address, finding)
      return finding
    } catch (error) {
      this.link = undefined
      return { verdict: 'unknown', rule: `cannot ask lspawn: ${describeError(error)}` }
    }
  }

  private answer(connection: FrameConnection, address: ByteString): Promise<RecipientFinding> {
    return new Promise((resolve) => {
      this.lastRef = (this.lastRef + 1) % 0x1_0000_0000
      const ref = this.lastRef
      const settle = (finding: RecipientFinding): void => {
        cancel()
        this.waiting.delete(ref)
        resolve(finding)
      }
      const cancel = this.clock.after(answerMillisecondsMax, () =>
        settle({ verdict: 'unknown', rule: `no answer from lspawn in ${answerMillisecondsMax} ms` }),
      )
      this.waiting.set(ref, settle)
      connection.send(encodeRecipientQuestion({ ref, address }))
    })
  }

  private async connect(): Promise<FrameConnection> {
    const connection: FrameConnection = new FrameConnection(await this.connectSocket(), {
      onFrame: (frame) => {
        const { ref, verdict, rule } = decodeRecipientAnswer(frame)
        this.waiting.get(ref)?.({ verdict, rule })
      },
      onClose: (reason) => {
        this.link = undefined
        for (const settle of [...this.waiting.values()])
          settle({ verdict: 'unknown', rule: `lspawn is gone ${reason}` })
      },
    })
    connection.send(encodeHello({ purpose: 'recipients', uid: 0 }))
    return connection
  }

  private remember(address: ByteString, finding: RecipientFinding): void {
    const milliseconds = rememberMilliseconds[finding.verdict]
    if (milliseconds === 0) return
    if (this.remembered.size >= rememberedMax) this.remembered.clear()
    this.remembered.set(address, { finding, until: this.clock.monotonic() + milliseconds })
  }
}
