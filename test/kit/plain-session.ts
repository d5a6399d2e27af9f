/** The least that a program makes of an SMTP session: everybody's mail is taken, and what happens is kept for the test. */
import assert from 'node:assert/strict'
import type { ByteString } from '../../src/base/byte-string.ts'
import type { Outcome } from '../../src/base/outcome.ts'
import { type Envelope, noParams } from '../../src/contracts/envelope.ts'
import { replies, type Reply } from '../../src/protocols/smtp/replies.ts'
import { ContentBudget } from '../../src/clients/queue/content-budget.ts'
import { smtpLimits, type SmtpLimits } from '../../src/servers/smtp/limits.ts'
import { SmtpSession } from '../../src/servers/smtp/session.ts'
import { FakeClock, FakeEnqueuer } from './smtpd.ts'

interface Recipients {
  readonly recipients: ByteString[]
}

/** A promise, and what settles it. */
interface Step {
  readonly promise: Promise<void>
  resolve(): void
  reject(error: Error): void
}

/** `RCPT later` waits for `step`. */
export class PlainSession extends SmtpSession<Recipients> {
  readonly enqueuer: FakeEnqueuer = new FakeEnqueuer()
  readonly sessionClock: FakeClock
  readonly sessionBudget: ContentBudget
  readonly log: string[] = []
  readonly over: string[] = []
  /** Of the connection: what was sent, and how it was closed. */
  output = ''
  readonly closes: string[] = []
  progresses = 0
  step: Step = Promise.withResolvers<void>()

  constructor(limits: Partial<SmtpLimits> = {}) {
    const clock = new FakeClock()
    const budget = new ContentBudget(1 << 20)
    const setting = {
      limits: { ...smtpLimits, ...limits },
      clock,
      budget,
      idleSecondsMax: 300,
      greeting: 'lab.example',
    }
    super(setting, {
      send: (text) => {
        assert.deepEqual(this.closes, [], `said after the end: ${text}`)
        this.output += text
      },
      close: (how) => this.closes.push(how),
      progress: () => this.progresses++,
    })
    this.sessionClock = clock
    this.sessionBudget = budget
  }

  protected override mail(): void {
    this.transaction = { recipients: [] }
    this.reply(replies.mailOk)
  }

  protected override recipient(argument: ByteString, { recipients }: Recipients): void {
    const accept = (): void => {
      if (this.ended) return
      recipients.push(argument)
      this.reply(replies.recipientOk)
    }
    if (argument === 'later') this.wait(this.step.promise.then(accept))
    else accept()
  }

  protected override data({ recipients }: Recipients): void {
    const envelope = { sender: 'a@b', recipients }
    this.beginContent({ envelope, params: noParams, head: '', databytes: 100_000 }, this.enqueuer)
  }

  protected override hello(name: ByteString): void {
    this.say(`250 ${this.extended ? 'ehlo' : 'helo'} ${name}\r\n`)
  }

  protected override messageOver({ recipients }: Envelope, verdict: Reply | Outcome<number> | undefined): void {
    const became = verdict === undefined ? 'given up' : 'code' in verdict || !verdict.done ? 'refused' : 'taken'
    this.over.push(`${recipients.join(' ')}: ${became}`)
  }

  protected override note(check: string, reply?: Reply): void {
    this.log.push(reply === undefined ? check : `${check} ${reply.code}`)
  }

  protected override noteEnd(check: string, reply: Reply): void {
    this.log.push(`end: ${check} ${reply.code}`)
  }

  /** What is said at once. */
  hears(text: ByteString): string {
    const before = this.output.length
    this.receive(Buffer.from(text, 'latin1'))
    return this.output.slice(before)
  }

  /** What is said when nothing is under way any more. */
  async settles(): Promise<string> {
    const before = this.output.length
    let work
    do {
      work = this.settled
      await work
    } while (work !== this.settled)
    return this.output.slice(before)
  }
}
