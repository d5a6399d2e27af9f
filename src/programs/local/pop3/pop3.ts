/** POP3 after login, in the user's own process: one session from `+OK` to its end.
 *  Knows:  one session a Maildir, and when one gives way to the next; in which order things are opened, answered, updated and given back.
 *  Never:  removes a message unless the client said QUIT; holds more of a message than a piece of it.
 *  Fails:  a refusal with a response code, and the connection closes. */
import type { Duplex } from 'node:stream'
import type { ByteString } from '../../../base/byte-string.ts'
import { describeError } from '../../../base/outcome.ts'
import type { SessionGrant } from '../../../contracts/assign.ts'
import { commandLineBytesMax, parseCommand } from '../../../protocols/pop3/command.ts'
import { errorReply, errors, okReply, refusals } from '../../../protocols/pop3/replies.ts'
import { type Maildrop, openMaildrop, type Update } from '../../../stores/maildir/maildrop.ts'
import type { MaildropLock, MaildropLocks } from '../../../stores/maildir/maildrop-locks.ts'
import { TooManyMessagesError } from '../../../stores/maildir/maildrop-scan.ts'
import type { Clock } from '../../../system/clock.ts'
import { errorCode } from '../../../system/files.ts'
import { type Log, printable } from '../../../system/log.ts'
import type { QuickFiles } from '../../../system/quick-files.ts'
import { nextTurn } from '../../../system/spool.ts'
import type { RunningSession } from '../session.ts'
import { Dialogue } from './dialogue.ts'
import type { Limits } from './limits.ts'
import { Transaction } from './transaction.ts'

/** A session that has a Maildir. */
export interface MaildropHolder {
  /** For a new session of this account: resolves when the Maildir is free. Undefined: this one goes on. */
  giveWay(account: string): Promise<void> | undefined
}

/** What all sessions of a process share. */
export interface Pop3Tools {
  readonly files: QuickFiles
  readonly clock: Clock
  readonly log: Log
  readonly limits: Limits
  readonly locks: MaildropLocks<MaildropHolder>
  /** control/timeoutpop3d. */
  idleSecondsMax(): number
  /** Messages were removed, and will stay so. `maildir` ends in a slash. Never throws. */
  removed(maildir: ByteString, what: Update['removed']): void
}

/** Who is served, and over what. */
export interface Pop3Client {
  readonly grant: Pick<SessionGrant, 'account' | 'home' | 'peer'>
  readonly socket: Duplex
}

/** `maildir`: without it, `Maildir` in the home of the grant. */
export function startPop3(
  session: Pop3Client,
  tools: Pop3Tools,
  maildir: ByteString = `${session.grant.home}/Maildir/`,
): RunningSession {
  return new Pop3Session(session, tools, maildir)
}

type Refusal = keyof typeof refusals

class Pop3Session implements RunningSession, MaildropHolder {
  readonly ended: Promise<void>
  private readonly session: Pop3Client
  private readonly tools: Pop3Tools
  private readonly maildir: ByteString
  private readonly dialogue: Dialogue
  private stopping = false
  private readonly released: Promise<void>
  private release: () => void = () => undefined

  constructor(session: Pop3Client, tools: Pop3Tools, maildir: ByteString) {
    this.session = session
    this.tools = tools
    this.maildir = maildir
    this.dialogue = new Dialogue(session.socket, {
      clock: tools.clock,
      limits: tools.limits,
      lineBytesMax: commandLineBytesMax,
      // RFC 1939 §3 asks for ten minutes at least; 0 would end every session at once.
      idleMillisecondsMax: Math.max(1, tools.idleSecondsMax()) * 1000,
    })
    this.released = new Promise((resolve) => (this.release = resolve))
    this.ended = this.run()
  }

  tick(): void {
    this.dialogue.tick()
  }

  shutdown(): void {
    this.stopping = true
    this.dialogue.stop()
  }

  giveWay(account: string): Promise<void> | undefined {
    const isSilent = this.dialogue.waitedMilliseconds >= this.tools.limits.silenceMillisecondsMax
    if (!isSilent || account !== this.session.grant.account) return undefined
    this.dialogue.destroy('replaced')
    return this.released
  }

  private async run(): Promise<void> {
    let lock: MaildropLock | undefined
    try {
      lock = await this.lock()
    } catch (error) {
      return await this.refuse(...refusalOf(error))
    }
    if (lock === undefined) return await this.refuse('inUse', '')
    try {
      await this.withMaildir()
    } finally {
      lock.release()
      this.release()
    }
    await this.dialogue.end()
  }

  private async lock(): Promise<MaildropLock | undefined> {
    const { locks, files } = this.tools
    const first = locks.take(files, this.maildir, this)
    if ('release' in first) return first
    const leaving = first.takenBy.giveWay(this.session.grant.account)
    if (leaving === undefined) return undefined
    await leaving
    // Another may have waited for the same.
    const second = locks.take(files, this.maildir, this)
    return 'release' in second ? second : undefined
  }

  private async withMaildir(): Promise<void> {
    let maildrop: Maildrop
    try {
      maildrop = await openMaildrop(this.tools, this.maildir)
    } catch (error) {
      const [refusal, reason] = refusalOf(error)
      // There is a Maildir: what is missing is in it.
      return await this.say(refusal === 'noMaildir' ? 'unscannable' : refusal, reason)
    }
    if (this.stopping) return await this.say('shuttingDown', '')
    const transaction = new Transaction(maildrop, this.dialogue, this.tools.limits)
    await this.dialogue.say(okReply)
    const end = await this.serve(transaction)
    const removed = end === 'quit' ? await this.update(maildrop) : 0
    this.note(`messages ${maildrop.count} sent ${transaction.sent} removed ${removed} end ${end}`)
  }

  /** What the session ended by. */
  private async serve(transaction: Transaction): Promise<string> {
    for (let commands = 1; ; commands++) {
      const line = await this.dialogue.line()
      if (line.kind === 'too-long') {
        await this.dialogue.say(errorReply(errors.lineTooLong))
        return 'line-too-long'
      }
      if (line.kind === 'none') {
        if (this.dialogue.lost !== undefined) return this.dialogue.lost
        if (this.stopping) await this.dialogue.say(errorReply(refusals.shuttingDown))
        return this.stopping ? 'stop' : 'closed'
      }
      const command = parseCommand(line.line)
      if (command.verb === 'quit') return 'quit'
      await transaction.answer(command)
      if (commands % this.tools.limits.commandsAtOnce === 0) await nextTurn()
    }
  }

  /** How many messages were removed. Also for a client that is gone by now: it has said QUIT. */
  private async update(maildrop: Maildrop): Promise<number> {
    const { removed, problem } = await maildrop.update()
    if (removed.messages > 0) this.tools.removed(this.maildir, removed)
    if (problem !== '') this.note(`not all messages removed: ${problem}`)
    await this.dialogue.say(problem === '' ? okReply : errorReply(errors.cannotUnlink))
    return removed.messages
  }

  private async refuse(refusal: Refusal, reason: string): Promise<void> {
    await this.say(refusal, reason)
    await this.dialogue.end()
  }

  private async say(refusal: Refusal, reason: string): Promise<void> {
    this.note(`refused ${refusals[refusal]}${reason === '' ? '' : `: ${reason}`}`)
    await this.dialogue.say(errorReply(refusals[refusal]))
  }

  private note(what: string): void {
    const { account, peer } = this.session.grant
    this.tools.log(`pop3 ${printable(account)} ${peer.remoteIp}: ${what}`)
  }
}

/** Only code that knows says PERM: a file system may come back. */
function refusalOf(error: unknown): [Refusal, string] {
  const code = errorCode(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') return ['noMaildir', describeError(error)]
  return [error instanceof TooManyMessagesError ? 'tooManyMessages' : 'unscannable', describeError(error)]
}
