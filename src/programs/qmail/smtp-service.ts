/** `sendmail -bs`: SMTP with the caller on descriptors 0 and 1, as old mail programs speak it with their own host. No checks
 *  are made, since the caller could hand in any message anyway; the message gets the caller's uid.
 *  Fails:  421 without a name for this host, as qmail-smtpd; exit code 1 if the caller hangs up without QUIT. */
import type { ByteString } from '../../base/byte-string.ts'
import { noParams, type Params, recipientFacts, withLate } from '../../contracts/envelope.ts'
import { unlimited } from '../../clients/queue/content-budget.ts'
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import { gatheringSink } from '../../clients/queue/gathering-sink.ts'
import { readAddress } from '../../protocols/smtp/address.ts'
import { receivedField } from '../../protocols/smtp/received.ts'
import { formatExtensions, replies } from '../../protocols/smtp/replies.ts'
import { serveStream } from '../../servers/descriptors/session-on-stream.ts'
import { listenerLimits } from '../../servers/listener/limits.ts'
import { smtpLimits } from '../../servers/smtp/limits.ts'
import { mailParameters, recipientParameters } from '../../servers/smtp/parameters.ts'
import { SmtpSession } from '../../servers/smtp/session.ts'
import type { SmtpSessionPort } from '../../servers/smtp/session-setting.ts'
import { readLineOrMe } from '../../stores/control/line-file.ts'
import { realClock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { standardStream } from '../../system/standard-stream.ts'
import { type Call, exit } from './call.ts'

/** qmail's default of timeoutsmtpd: a person may be typing. */
const idleSecondsMax = 1200
const hungUp = 1

interface Transaction {
  readonly sender: ByteString
  readonly params: Params
  readonly recipients: ByteString[]
  readonly recipientParams: Map<ByteString, Params>
}

export class CallerSession extends SmtpSession<Transaction> {
  private readonly enqueuer: Enqueuer
  private readonly now: () => number
  private helo: ByteString = ''

  constructor(greeting: ByteString, enqueuer: Enqueuer, now: () => number, port: SmtpSessionPort) {
    super({ limits: smtpLimits, clock: realClock, budget: unlimited, greeting, idleSecondsMax }, port)
    this.enqueuer = enqueuer
    this.now = now
  }

  greet(): void {
    this.reply({ code: 220, text: `${this.greeting} ESMTP` })
  }

  protected override hello(name: ByteString): void {
    this.helo = name
    this.say(this.extended ? formatExtensions(this.greeting, 0, false) : `250 ${this.greeting}\r\n`)
  }

  protected override mail(argument: ByteString): void {
    const read = readAddress(argument, (address) => address)
    if ('code' in read) return this.refuse(read, 'mail')
    const { address: sender } = read
    const params = this.extended ? mailParameters(read.rest, 0) : noParams
    if ('code' in params) return this.refuse(params, 'mail')
    this.endTransaction()
    this.transaction = { sender, params, recipients: [], recipientParams: new Map() }
    this.reply(replies.mailOk)
  }

  protected override recipient(argument: ByteString, { recipients, recipientParams: own }: Transaction): void {
    const read = readAddress(argument, (given) => given)
    if ('code' in read) return this.refuse(read, 'rcpt')
    const { address } = read
    if (address === '') return this.refuse(replies.syntax, 'rcpt')
    if (recipients.length >= smtpLimits.recipientsMax) return this.refuse(replies.tooManyRecipients, 'rcpt')
    const params = this.extended ? recipientParameters(read.rest) : noParams
    if ('code' in params) return this.refuse(params, 'rcpt')
    recipients.push(address)
    if (params.size > 0) own.set(address, params)
    this.reply(replies.recipientOk)
  }

  protected override data({ sender, params, recipients, recipientParams: own }: Transaction): void {
    const head = receivedField({
      remoteHost: 'localhost',
      remoteIp: '127.0.0.1',
      remoteInfo: 'sendmail-bs',
      helo: this.helo,
      local: 'localhost',
      protocol: 'SMTP',
      milliseconds: this.now(),
    })
    const envelope = { sender, recipients, ...recipientFacts(own, new Map()) }
    this.beginContent({ envelope, params, head, databytes: 0 }, this.enqueuer)
  }

  /** No log: the caller reads the replies. */
  protected override note(): void {}
  protected override noteEnd(): void {}
}

export async function serveSmtp(call: Call): Promise<number> {
  const greeting = greetingOf(call)
  if (greeting === undefined) {
    call.out('421 unable to read controls (#4.3.0)\r\n')
    return hungUp
  }
  const enqueuer = enqueuerOf(call)
  const end = await serveStream(
    standardStream(),
    { limits: listenerLimits, clock: realClock },
    (port) => new CallerSession(greeting, enqueuer, () => call.now(), port),
  )
  return end === 'goodbye' ? exit.ok : hungUp
}

function greetingOf(call: Call): ByteString | undefined {
  try {
    return readLineOrMe(call.home().control, 'smtpgreeting')
  } catch {
    return undefined
  }
}

/** Gathers each message until it is complete. */
function enqueuerOf(call: Call): Enqueuer {
  return {
    open: (envelope, params) =>
      gatheringSink(realRandom, 'the queue', (head, late, body) =>
        call.enqueue({ ...envelope, params: withLate(params, late) }, body, call.variables, head),
      ),
  }
}
