/** Delivery into a Maildir (maildir(5)): written under tmp/, synced, linked into new/, and new/ synced, in this order:
 *  success means that the file and its directory entry survive a power cut.
 *  Knows:  names, order. Never: overwrites; makes a Maildir; follows a link at the last step of a path.
 *  Fails:  temporary Outcomes with qmail-local's texts; for good only if the Maildir is over its quota (quotas.ts), before
 *          anything is written. The file under tmp/ is removed. If only the last sync fails, the
 *          message may be there and come again: twice rather than never. */
import type { ByteString } from '../../base/byte-string.ts'
import { done, failed, type Outcome, permanent, transient, transientFrom } from '../../base/outcome.ts'
import { isTemporaryErrno } from '../../protocols/qmail/errno-text.ts'
import { type Clock, DeadlineError, within } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import type { QuickFiles } from '../../system/quick-files.ts'
import type { Random } from '../../system/random.ts'
import { nextTurn, type StoredBytes } from '../../system/spool.ts'
import { DirectorySync } from '../../system/directory-sync.ts'
import { giveName } from './new-name.ts'
import { Quotas, type Reservation } from './quotas.ts'

/** qmail's limit, for a file system that hangs. */
const deliveryMillisecondsMax = 86_400_000
const hostBytesMax = 64
const createTriesMax = 3
const bytesOfOneWrite: number = 64 * 1024
const bytesOfOneRead: number = 256 * 1024
/** After this many bytes other deliveries get their turn. */
const bytesAtOnce: number = 1024 * 1024

const noEntry = ['Unable to chdir to maildir.', '2.1'] as const
const timedOut = ['Timeout on maildir delivery.', '3.0'] as const
const troubled = ['Temporary error on maildir delivery.', '3.0'] as const

export interface MaildirMachine {
  readonly files: QuickFiles
  readonly clock: Clock
  readonly random: Random
  readonly pid: number
  readonly host: ByteString
}

export class Maildirs {
  private readonly machine: MaildirMachine
  private readonly files: QuickFiles
  private readonly newSync: DirectorySync
  private readonly quotas: Quotas
  private readonly host: ByteString
  private sequence = 0
  /** For a large message, between two of them: the collector would have to be asked for each. */
  private spareRoom: Buffer | undefined

  constructor(machine: MaildirMachine) {
    this.machine = machine
    this.files = machine.files
    this.newSync = new DirectorySync((path) => machine.files.syncDirectory(path))
    this.quotas = new Quotas(machine)
    this.host = machine.host.slice(0, hostBytesMax).replaceAll('/', '\\057').replaceAll(':', '\\072')
  }

  /** `maildir` ends in a slash; `head` goes before the content. */
  async deliver(maildir: ByteString, head: Buffer, content: StoredBytes): Promise<Outcome<void>> {
    const asked = this.quotas.reserve(maildir, head.length + content.bytes)
    const room = asked instanceof Promise ? await asked : asked
    if (room === 'full')
      return failed(permanent('2.2', 'Sorry, this mailbox is full.', `maildir ${maildir}: over its quota`))
    if (room === 'unsure')
      return failed(
        transient('2.2', 'This mailbox is almost full.', `maildir ${maildir}: at its quota, or not to be counted`),
      )
    const reservation = room === 'none' ? undefined : room
    try {
      return await this.write(maildir, head, content, reservation)
    } finally {
      reservation?.release()
    }
  }

  private async write(
    maildir: ByteString,
    head: Buffer,
    content: StoredBytes,
    reservation: Reservation | undefined,
  ): Promise<Outcome<void>> {
    let file: { name: ByteString; fd: number }
    try {
      file = this.create(maildir, head.length + content.bytes)
    } catch (error) {
      return failed(transientFrom(error, `maildir ${maildir}`, ...(this.isEnterable(maildir) ? troubled : noEntry)))
    }
    const temporary = `${maildir}tmp/${file.name}`
    try {
      await this.fill(file.fd, head, content)
      if (giveName(this.files, temporary, `${maildir}new/${file.name}`)) this.removeQuietly(temporary)
      reservation?.arrived()
      await within(this.machine.clock, deliveryMillisecondsMax, 'sync', this.newSync.sync(`${maildir}new`))
      return done(undefined)
    } catch (error) {
      this.removeQuietly(temporary)
      const words = error instanceof DeadlineError ? timedOut : troubled
      return failed(transientFrom(error, `maildir ${maildir}`, ...words))
    }
  }

  /** Unique by time, process, count and random bytes, also between machines that share a Maildir. */
  private nextName(bytes: number): ByteString {
    const now = this.machine.clock.now()
    const microseconds = Math.floor(now % 1000) * 1000
    const chance = this.machine.random.bytes(8).toString('hex')
    this.sequence++
    const { pid } = this.machine
    return `${Math.floor(now / 1000)}.M${microseconds}P${pid}Q${this.sequence}R${chance}.${this.host},S=${bytes}`
  }

  private create(maildir: ByteString, bytes: number): { name: ByteString; fd: number } {
    for (let tries = 1; ; tries++) {
      const name = this.nextName(bytes)
      try {
        return { name, fd: this.files.create(`${maildir}tmp/${name}`, 0o600) }
      } catch (error) {
        if (errorCode(error) !== 'EEXIST' || tries === createTriesMax) throw error
      }
    }
  }

  /** Writes, syncs and closes; closes also when it throws. */
  private async fill(fd: number, head: Buffer, content: StoredBytes): Promise<void> {
    let open = true
    try {
      await this.writeAll(fd, head, content)
      const synced = this.files.sync(fd)
      // A hanging sync still holds the descriptor, which is closed if and when the sync returns.
      open = false
      const closed = synced.finally(() => this.files.close(fd))
      await within(this.machine.clock, deliveryMillisecondsMax, 'sync', closed)
    } finally {
      if (open) this.files.close(fd)
    }
  }

  private async writeAll(fd: number, head: Buffer, content: StoredBytes): Promise<void> {
    let room: Buffer | undefined
    const takeRoom = (): Buffer => {
      room = this.spareRoom ?? Buffer.allocUnsafeSlow(bytesOfOneRead)
      this.spareRoom = undefined
      return room
    }
    await writeAll(this.files, fd, head, content, takeRoom)
    this.spareRoom = room ?? this.spareRoom
  }

  private removeQuietly(path: ByteString): void {
    try {
      this.files.remove(path)
    } catch {
      // It is gone already, or a mail reader cleans tmp/ after 36 hours.
    }
  }

  /** False only if we certainly cannot enter such a directory. */
  private isEnterable(maildir: ByteString): boolean {
    try {
      this.files.enter(maildir)
      return true
    } catch (error) {
      return isTemporaryErrno(errorCode(error))
    }
  }
}

/** A message of one small chunk is one call. What lies in a file is read into the room. */
async function writeAll(
  files: QuickFiles,
  fd: number,
  head: Buffer,
  content: StoredBytes,
  takeRoom: () => Buffer,
): Promise<void> {
  let pending = [head]
  let pendingBytes = head.length
  let sinceTurn = 0
  let isReused = false
  const chunks = content.chunks(() => {
    isReused = true
    return takeRoom()
  })
  for (const chunk of chunks) {
    pending.push(chunk)
    pendingBytes += chunk.length
    // What is in the room is written before the next.
    if (pendingBytes < bytesOfOneWrite && !isReused) continue
    files.write(fd, pending)
    sinceTurn += pendingBytes
    pending = []
    pendingBytes = 0
    if (sinceTurn < bytesAtOnce) continue
    sinceTurn = 0
    await nextTurn()
  }
  if (pending.length > 0) files.write(fd, pending)
}
