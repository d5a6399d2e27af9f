/** Delivery into an mbox file, under flock, synced before success.
 *  Knows:  lock, append, truncate on failure; the directory is synced too when the file is new.
 *  Fails:  temporary Outcomes with qmail-local's texts. A file on a file system without locks is not truncated: another program
 *          may have written meanwhile. */
import { constants } from 'node:fs'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError, done, failed, type Outcome, type StatusCode, transient } from '../../base/outcome.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { MboxQuoter } from '../../protocols/qmail/mbox-format.ts'
import type { Clock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { tryLockExclusive } from '../../system/libc.ts'
import type { QuickFiles } from '../../system/quick-files.ts'
import { nextTurn, type StoredBytes } from '../../system/spool.ts'

const lockMillisecondsMax = 30_000
const lockPollMilliseconds = 25
const bytesAtOnce: number = 1024 * 1024
const lockedWords = 'File has been locked for 30 seconds straight.'

export interface MboxMachine {
  readonly files: QuickFiles
  readonly clock: Clock
  /** `unsupported` where there are no locks: then mail is appended without. */
  readonly tryLock: (fd: number) => 'locked' | 'busy' | 'unsupported'
}

export interface MboxMessage {
  /** The path as in `.qmail`, for the texts. */
  readonly shownPath: ByteString
  readonly path: ByteString
  /** The `From ` line and the header lines of the delivery, not quoted. */
  readonly head: Buffer
  readonly content: StoredBytes
}

export class Mboxes {
  private readonly machine: MboxMachine
  private readonly files: QuickFiles
  /** Deliveries of this process to one file wait here for each other, not at the lock. */
  private readonly tails = new Map<ByteString, Promise<unknown>>()

  constructor(machine: Omit<MboxMachine, 'tryLock'> & { tryLock?: MboxMachine['tryLock'] }) {
    this.machine = { tryLock: tryLockExclusive, ...machine }
    this.files = machine.files
  }

  async deliver(message: MboxMessage): Promise<Outcome<void>> {
    const before = this.tails.get(message.path) ?? Promise.resolve()
    const mine = before.then(() => this.deliverAlone(message))
    const tail = mine.catch(() => undefined)
    this.tails.set(message.path, tail)
    try {
      return await mine
    } finally {
      if (this.tails.get(message.path) === tail) this.tails.delete(message.path)
    }
  }

  private async deliverAlone(message: MboxMessage): Promise<Outcome<void>> {
    let opened: { fd: number; created: boolean }
    try {
      opened = this.open(message.path)
    } catch (error) {
      return failed(trouble('open', message, error, '2.1'))
    }
    const { fd, created } = opened
    try {
      const locked = await this.lock(fd)
      if (locked === 'busy') return failed(transient('3.0', lockedWords, `${lockedWords} ${message.path}`))
      return await this.append(fd, created, locked === 'locked', message)
    } finally {
      // Also gives up the lock.
      this.files.close(fd)
    }
  }

  private open(path: ByteString): { fd: number; created: boolean } {
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK
    try {
      return { fd: this.files.open(path, flags), created: false }
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      return { fd: this.files.open(path, flags | constants.O_CREAT, 0o600), created: true }
    }
  }

  private async lock(fd: number): Promise<'locked' | 'busy' | 'unsupported'> {
    const { clock, tryLock } = this.machine
    const giveUpAt = clock.monotonic() + lockMillisecondsMax
    for (;;) {
      const result = tryLock(fd)
      if (result !== 'busy' || clock.monotonic() >= giveUpAt) return result
      await new Promise<void>((resolve) => clock.after(lockPollMilliseconds, resolve))
    }
  }

  private async append(fd: number, created: boolean, locked: boolean, message: MboxMessage): Promise<Outcome<void>> {
    const bytesBefore = this.files.factsOf(fd).size
    try {
      await this.write(fd, message)
      await this.files.sync(fd)
      if (created) await this.files.syncDirectory(message.path.slice(0, message.path.lastIndexOf('/') + 1))
      return done(undefined)
    } catch (error) {
      if (locked) this.cutBack(fd, bytesBefore)
      return failed(trouble('write', message, error, '3.0'))
    }
  }

  private async write(fd: number, message: MboxMessage): Promise<void> {
    const quoter = new MboxQuoter()
    let sinceTurn = 0
    this.files.write(fd, [message.head])
    for (const chunk of message.content.chunks()) {
      this.writePieces(fd, quoter.push(chunk))
      sinceTurn += chunk.length
      if (sinceTurn > bytesAtOnce) {
        sinceTurn = 0
        await nextTurn()
      }
    }
    this.writePieces(fd, quoter.end())
  }

  private writePieces(fd: number, pieces: readonly Buffer[]): void {
    this.files.write(fd, pieces.length > 1 ? [Buffer.concat(pieces)] : pieces)
  }

  private cutBack(fd: number, bytes: number): void {
    try {
      this.files.truncate(fd, bytes)
    } catch {
      // As in qmail: half a message stays, and the whole one is delivered again.
    }
  }
}

function trouble(attempted: 'open' | 'write', message: MboxMessage, error: unknown, code: StatusCode) {
  const words = `Unable to ${attempted} ${message.shownPath}: ${errnoText(errorCode(error))}.`
  return transient(code, words, `${words} ${describeError(error)}`)
}
