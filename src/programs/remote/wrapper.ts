/** Delivers by the program that QMAILREMOTE names, called as qmail-rspawn calls qmail-remote: for each recipient, with host,
 *  sender and recipient as arguments and the message on descriptor 0; its report is on 1 and 2.
 *  Knows:  how it is run. Never: routes; smtproutes and TLS are left to the program that it calls.
 *  Fails:  with qmail-rspawn's texts; a program that cannot be run defers. */
import { type ByteString, fromBuffer, fromText } from '../../base/byte-string.ts'
import { describeError, type Status } from '../../base/outcome.ts'
import type { OpenContent } from '../../clients/smtp/transaction.ts'
import { remoteOutputStatus } from '../../protocols/qmail/remote-output.ts'
import { remoteStatus } from '../../protocols/qmail/remote-status.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { Random } from '../../system/random.ts'
import { Spool } from '../../system/spool.ts'
import { type WatchedEnd, WatchedProcess } from '../../system/watched-process.ts'

/** A qmail-remote may wait 20 minutes for each of a few replies. After this time it is killed. */
const programMillisecondsMax: number = 2 * 3_600_000
/** So that all recipients of an attempt are finished, in turns, before the queue abandons it. */
const programsAtOnce = 10
const outputBytesMax: number = 64 * 1024

export interface WrapperTools {
  /** Relative to `home` if not absolute. */
  readonly program: string
  /** Working directory. */
  readonly home: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface WrappedMail {
  readonly sender: ByteString
  readonly recipients: readonly ByteString[]
}

/** One status for each recipient. */
export async function deliverByProgram(
  { sender, recipients }: WrappedMail,
  content: OpenContent,
  tools: WrapperTools,
): Promise<Status[]> {
  const statuses: Status[] = []
  for (let at = 0; at < recipients.length; at += programsAtOnce) {
    const some = recipients.slice(at, at + programsAtOnce)
    statuses.push(...(await Promise.all(some.map((recipient) => deliverTo(recipient, sender, content, tools)))))
  }
  return statuses
}

async function deliverTo(
  recipient: ByteString,
  sender: ByteString,
  content: OpenContent,
  tools: WrapperTools,
): Promise<Status> {
  const { program, log } = tools
  const host = recipient.slice(recipient.lastIndexOf('@') + 1)
  const message = await spooled(content, tools)
  if (message === undefined) return remoteStatus.unreadable()
  try {
    const output = new Output()
    const end = await call(message, [host, sender, recipient], output, tools)
    if (end.timedOut) log(`warning: QMAILREMOTE ${program} was ended, after ${programMillisecondsMax / 1000} seconds`)
    return remoteOutputStatus(output.text(), end.exitCode)
  } catch (error) {
    log(`warning: cannot run QMAILREMOTE ${program}: ${describeError(error)}`)
    return remoteOutputStatus('', notRunCode)
  } finally {
    message.close()
  }
}

const notRunCode = 111

/** A separate file for each program, which reads it from its start and may seek in it. */
async function spooled(content: OpenContent, { random, log }: WrapperTools): Promise<Spool | undefined> {
  let spool: Spool | undefined
  try {
    spool = new Spool(random)
    for await (const bytes of content()) spool.append(bytes)
    return spool
  } catch (error) {
    spool?.close()
    log(`warning: cannot keep a message for QMAILREMOTE: ${describeError(error)}`)
    return undefined
  }
}

/** Output beyond the limit is read and dropped. */
class Output {
  private readonly chunks: Buffer[] = []
  private kept = 0

  readonly take = (bytes: Buffer): void => {
    const part = bytes.subarray(0, outputBytesMax - this.kept)
    this.kept += part.length
    if (part.length > 0) this.chunks.push(part)
  }

  text(): ByteString {
    return fromBuffer(Buffer.concat(this.chunks))
  }
}

async function call(
  message: Spool,
  args: readonly ByteString[],
  output: Output,
  { program, home, clock }: WrapperTools,
): Promise<WatchedEnd> {
  const environment = new Map<string, ByteString>()
  for (const [name, value] of Object.entries(process.env)) environment.set(name, fromText(value ?? ''))
  // So that it finds qmail-remote.
  environment.set('PATH', `${fromText(home)}/bin:${environment.get('PATH') ?? '/usr/bin:/bin'}`)
  environment.set('QUAVER_HOME', fromText(home))
  const started = await WatchedProcess.start(clock, {
    file: fromText(program),
    args,
    cwd: home,
    environment,
    descriptors: [message.fd, output.take, output.take],
    millisecondsMax: programMillisecondsMax,
  })
  return await started.ended
}
