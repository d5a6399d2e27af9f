/** A Maildir as a POP3 session sees it: the messages of one moment, numbered from 0; later changes do not matter.
 *  Knows:  names, sizes, marks; the new place of a message that another reader moved.
 *  Never:  changes anything before `update`; follows a link in place of a message; trusts a name with more than its size; takes
 *          a file for a message by its name alone, unless the name is certainly unique.
 *  Fails:  `openMaildrop` throws as Node does; a message that cannot be opened is undefined, one that cannot be removed is
 *          counted. */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { nameInCur, uniqueId, uniquePart } from '../../protocols/maildir/name.ts'
import { type Clock, within } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import type { QuickFiles } from '../../system/quick-files.ts'
import { cleanTemporary, identityOf, type ScannedMessages, scanMaildir } from './maildrop-scan.ts'
import { giveName } from './new-name.ts'
import { Turns } from './turns.ts'

/** A hundred bytes of memory each. */
export const messagesMax = 1_000_000
const syncMillisecondsMax = 60_000
/** For one piece of a message, from a disk or a remote file server. */
const readMillisecondsMax = 60_000
const readFlags: number = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

const marked = 1
/** Searched for everywhere and not found. */
const gone = 2

export interface MaildropMachine {
  readonly files: QuickFiles
  readonly clock: Clock
}

/** To be closed. */
export interface OpenedMessage {
  readonly bytes: number
  /** From a position, at most `buffer.length`; 0 at the end. Rejects as Node does, or after a minute; then the buffer must not
   *  be used again. */
  read(buffer: Buffer, position: number): Promise<number>
  close(): void
}

export interface Update {
  readonly removed: { readonly bytes: number; readonly messages: number }
  /** Why marked messages are still there, or may return after a power cut; empty: none. */
  readonly problem: string
}

/** `maildir` ends in a slash. Throws TooManyMessagesError, or as Node does. */
export async function openMaildrop(machine: MaildropMachine, maildir: ByteString): Promise<Maildrop> {
  await cleanTemporary(machine.files, machine.clock, maildir)
  const scanned = await scanMaildir(machine.files, machine.clock, maildir, messagesMax)
  return new Maildrop(machine, maildir, scanned)
}

export class Maildrop {
  /** Marked ones included. */
  readonly count: number
  private readonly files: QuickFiles
  private readonly clock: Clock
  private readonly maildir: ByteString
  private readonly messages: ScannedMessages
  private readonly flags: Uint8Array
  private unmarkedBytes = 0
  private markedCount = 0
  private isMeasured = false
  /** Old paths of files that have a new name under cur/. */
  private readonly oldPaths: ByteString[] = []

  constructor({ files, clock }: MaildropMachine, maildir: ByteString, scanned: ScannedMessages) {
    this.files = files
    this.clock = clock
    this.maildir = maildir
    this.messages = scanned
    this.count = scanned.names.length
    this.flags = new Uint8Array(this.count)
    for (const bytes of scanned.bytes) if (!Number.isNaN(bytes)) this.unmarkedBytes += bytes
  }

  /** Looks up every unknown size, so that `bytes` and `bytesOf` are right. */
  async measure(): Promise<void> {
    if (this.isMeasured) return
    this.isMeasured = true
    const turns = new Turns(this.clock)
    let missing = 0
    for (let index = 0; index < this.count; index++) {
      if (!this.learnBytes(index)) missing++
      if (turns.isOver) await turns.next()
    }
    if (missing === 0) return
    await this.lookAgain()
    for (let index = 0; index < this.count; index++) this.learnBytes(index)
  }

  /** Of all unmarked messages. */
  get bytes(): number {
    return this.unmarkedBytes
  }

  /** 0 if unknown. */
  bytesOf(index: number): number {
    return this.messages.bytes[index] || 0
  }

  uniqueId(index: number): ByteString {
    return uniqueId(this.messages.twins.get(index) ?? this.nameOf(index), digest)
  }

  isMarked(index: number): boolean {
    return ((this.flags[index] ?? 0) & marked) !== 0
  }

  /** To be removed by `update`. */
  mark(index: number): void {
    if (this.isMarked(index)) return
    this.flags[index] = (this.flags[index] ?? 0) | marked
    this.markedCount++
    this.unmarkedBytes -= this.bytesOf(index)
  }

  unmarkAll(): void {
    for (let index = 0; this.markedCount > 0; index++) {
      if (!this.isMarked(index)) continue
      this.flags[index] = (this.flags[index] ?? 0) & ~marked
      this.markedCount--
      this.unmarkedBytes += this.bytesOf(index)
    }
  }

  /** Undefined if it cannot be opened, or no longer exists. */
  async openMessage(index: number): Promise<OpenedMessage | undefined> {
    try {
      const fd = await this.where(index, (path) => this.files.open(path, readFlags))
      return fd === undefined ? undefined : this.opened(fd)
    } catch {
      return undefined
    }
  }

  /** Removes marked messages and moves the rest from new/ to cur/, under the name by which they were shown. The changes survive
   *  a power cut. */
  async update(): Promise<Update> {
    const turns = new Turns(this.clock)
    const changed = new Set<ByteString>()
    let removedBytes = 0
    let removedMessages = 0
    let problem = ''
    for (let index = 0; index < this.count; index++) {
      if (turns.isOver) await turns.next()
      if (!this.isMarked(index)) {
        if (this.isToMove(index)) this.moveToCur(index, changed)
        continue
      }
      try {
        const part = await this.where(index, (path) => {
          this.learnBytes(index)
          this.files.remove(path)
          return this.partOf(index)
        })
        // If it was gone already, the program that removed it has counted it.
        if (part === undefined) continue
        changed.add(part)
        removedMessages++
        removedBytes += this.bytesOf(index)
      } catch (error) {
        problem ||= describeError(error)
      }
    }
    const unsynced = (await this.sync('cur', changed)) || (await this.finishMoves(changed))
    if (removedMessages > 0) problem ||= unsynced
    return { removed: { bytes: removedBytes, messages: removedMessages }, problem }
  }

  /** False if there is no such file where it was. */
  private learnBytes(index: number): boolean {
    if (!Number.isNaN(this.messages.bytes[index])) return true
    try {
      const facts = this.files.factsOfEntry(this.pathOf(index))
      if (facts === undefined) return false
      this.messages.bytes[index] = facts.size
      if (!this.isMarked(index)) this.unmarkedBytes += facts.size
    } catch {
      // Unreadable: it counts as empty.
      this.messages.bytes[index] = 0
    }
    return true
  }

  /** Acts on a message at its present path: if another reader moved it or changed its flags, it is searched for once. Undefined
   *  if it is gone. */
  private async where<T>(index: number, act: (path: ByteString) => T): Promise<T | undefined> {
    if (((this.flags[index] ?? 0) & gone) !== 0) return undefined
    try {
      if (this.isSame(index, this.pathOf(index))) return act(this.pathOf(index))
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
    await this.lookAgain()
    return ((this.flags[index] ?? 0) & gone) === 0 ? act(this.pathOf(index)) : undefined
  }

  /** False if the file is certainly not the message's. */
  private isSame(index: number, path: ByteString): boolean {
    const identity = this.messages.identities.get(index)
    if (identity === undefined) return true
    const facts = this.files.factsOfEntry(path)
    return facts !== undefined && identityOf(facts) === identity
  }

  /** Reads the present names of all messages. */
  private async lookAgain(): Promise<void> {
    const turns = new Turns(this.clock)
    const indexes = new Map<ByteString, number[]>()
    const seen = new Uint8Array(this.count)
    for (let index = 0; index < this.count; index++) {
      const unique = uniquePart(this.nameOf(index))
      const same = indexes.get(unique)
      if (same === undefined) indexes.set(unique, [index])
      else same.push(index)
      if (turns.isOver) await turns.next()
    }
    for (const part of ['new', 'cur'] as const) {
      for (const names of this.files.listFiles(`${this.maildir}${part}/`)) {
        for (const name of names) {
          const path = `${this.maildir}${part}/${name}`
          const index = indexes.get(uniquePart(name))?.find((one) => this.isSame(one, path))
          if (index === undefined) continue
          this.messages.names[index] = name
          this.messages.inNew[index] = part === 'new' ? 1 : 0
          seen[index] = 1
        }
        if (turns.isOver) await turns.next()
      }
    }
    for (let index = 0; index < this.count; index++)
      if (seen[index] === 0) this.flags[index] = (this.flags[index] ?? 0) | gone
  }

  private isToMove(index: number): boolean {
    return this.messages.inNew[index] === 1 || this.messages.twins.has(index)
  }

  /** Does nothing if the message has moved meanwhile, or another one has the new name. */
  private moveToCur(index: number, changed: Set<ByteString>): void {
    const name = this.nameOf(index)
    const twin = this.messages.twins.get(index)
    const target = nameInCur(twin === undefined ? name : twin + name.slice(uniquePart(name).length))
    try {
      const path = this.pathOf(index)
      if (!this.isSame(index, path)) return
      changed.add('cur').add(this.partOf(index))
      if (giveName(this.files, path, `${this.maildir}cur/${target}`)) this.oldPaths.push(path)
    } catch {
      return
    }
    this.messages.names[index] = target
    this.messages.inNew[index] = 0
  }

  /** To be called once cur/ is synced, so that no moved message can be lost. Returns what went wrong, or an empty string. */
  private async finishMoves(changed: Set<ByteString>): Promise<string> {
    for (const path of [...this.messages.leftovers, ...this.oldPaths.splice(0)]) {
      try {
        this.files.remove(path)
        changed.add(path.startsWith(`${this.maildir}new/`) ? 'new' : 'cur')
      } catch {
        // It is gone, or the next session recognizes both names as one file.
      }
    }
    return await this.sync('new', changed)
  }

  /** Returns what went wrong, or an empty string. */
  private async sync(part: 'cur' | 'new', changed: Set<ByteString>): Promise<string> {
    if (!changed.delete(part)) return ''
    try {
      await within(this.clock, syncMillisecondsMax, `sync of ${part}`, this.files.syncDirectory(this.maildir + part))
      return ''
    } catch (error) {
      return describeError(error)
    }
  }

  private opened(fd: number): OpenedMessage | undefined {
    const { files } = this
    let bytes: number
    try {
      const facts = files.factsOf(fd)
      if (!facts.isFile()) throw new Error('not a regular file')
      bytes = facts.size
    } catch (error) {
      files.close(fd)
      throw error
    }
    const { clock } = this
    let reading: Promise<number> | undefined
    return {
      bytes,
      async read(buffer, position) {
        reading = files.readFromDisk(fd, buffer, position)
        const count = await within(clock, readMillisecondsMax, 'read', reading)
        reading = undefined
        return count
      },
      close() {
        if (reading === undefined) files.close(fd)
        // A hanging read still holds the descriptor, which is closed if and when the read returns.
        else void Promise.allSettled([reading]).then(() => files.close(fd))
      },
    }
  }

  private nameOf(index: number): ByteString {
    return this.messages.names[index] ?? ''
  }

  private partOf(index: number): 'new' | 'cur' {
    return this.messages.inNew[index] === 1 ? 'new' : 'cur'
  }

  private pathOf(index: number): ByteString {
    return `${this.maildir}${this.partOf(index)}/${this.nameOf(index)}`
  }
}

function digest(bytes: ByteString): string {
  return createHash('sha256').update(toBuffer(bytes)).digest('hex')
}
