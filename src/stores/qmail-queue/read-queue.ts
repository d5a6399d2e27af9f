/** Reads a qmail's queue as qmail-send would find it at its next start: messages, leftovers, and damage. Reads any split,
 *  unsplit queues and a split todo (big-todo); a file's name counts, not its inode number.
 *  Never:  changes anything, follows a link, or waits for a FIFO; keeps a message's content.
 *  Fails:  throws if the directory is no queue; faults of one message are reported with that message. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import {
  type ChannelRecipient,
  invokerOf,
  parseChannel,
  parseInfo,
  parseQueuedEnvelope,
} from '../../protocols/qmail/queue-files.ts'
import { errorCode } from '../../system/files.ts'
import { tryLockExclusive } from '../../system/libc.ts'

export interface QmailChannel {
  /** When the next pass is due, by the machine's clock. */
  readonly dueMs: number
  readonly recipients: readonly ChannelRecipient[]
}

interface QmailMessageBase {
  /** The message's name in the queue. */
  readonly number: string
  readonly contentPath: string
  readonly bytes: number
  /** Who handed it in; undefined if unknown. */
  readonly invoker: ReturnType<typeof invokerOf>
  readonly sender: ByteString
}

/** Accepted, and not routed yet. */
export interface QmailQueued extends QmailMessageBase {
  readonly kind: 'queued'
  readonly recipients: readonly ByteString[]
}

/** Routed; perhaps half delivered. A channel whose file is gone is done. */
export interface QmailRouted extends QmailMessageBase {
  readonly kind: 'routed'
  readonly bornMs: number
  readonly local: QmailChannel | undefined
  readonly remote: QmailChannel | undefined
  readonly bounce: ByteString
}

export type QmailMessage = QmailQueued | QmailRouted

export interface QueueFault {
  /** Below the queue. */
  readonly file: string
  readonly fault: string
}

export interface QmailQueue {
  readonly directory: string
  /** Which directory this is, whatever its path. */
  readonly identity: string
  readonly messages: readonly QmailMessage[]
  /** Messages that cannot be taken whole. */
  readonly broken: readonly QueueFault[]
  /** Names that do not belong in a queue, and files where directories belong. */
  readonly strange: readonly QueueFault[]
  /** Contents without an envelope, or remains of finished messages: never messages. */
  readonly leftovers: readonly string[]
  readonly isRunning: boolean
}

/** Of an envelope or a bounce; a list of a million recipients is within it. */
const recordsBytesMax: number = 64 * 1024 * 1024
const firstLineBytesMax = 256

export function readQmailQueue(directory: string): QmailQueue {
  const found = lstatSync(directory)
  if (!found.isDirectory() || !isDirectory(join(directory, 'mess')))
    throw new Error(`${directory} is no queue of a qmail: there is no directory mess in it`)
  return new Reading(directory, `${found.dev}:${found.ino}`).all()
}

class Reading {
  private readonly directory: string
  private readonly identity: string
  private readonly strange: QueueFault[] = []
  private readonly broken: QueueFault[] = []

  constructor(directory: string, identity: string) {
    this.directory = directory
    this.identity = identity
  }

  all(): QmailQueue {
    const isRunning = this.isRunning()
    // todo first: a message that qmail-send moves meanwhile is then seen in info, and not missed.
    const todo = this.numbers('todo')
    const [info, local, remote] = [this.numbers('info'), this.numbers('local'), this.numbers('remote')]
    const [bounce, mess, intd] = [this.numbers('bounce'), this.numbers('mess'), this.numbers('intd')]
    const messages: QmailMessage[] = []
    for (const number of ascending(new Set([...todo.keys(), ...info.keys()]))) {
      const todoFile = todo.get(number)
      const infoFile = info.get(number)
      try {
        const content = this.content(number, mess.get(number))
        if (todoFile !== undefined) messages.push(this.queued(content, todoFile))
        else if (infoFile !== undefined)
          messages.push(this.routed(content, infoFile, local.get(number), remote.get(number), bounce.get(number)))
      } catch (error) {
        if (!(error instanceof Broken)) throw error
        this.broken.push(error.fault)
      }
    }
    const isMessage = (number: string): boolean => todo.has(number) || info.has(number)
    const leftovers = [mess, intd, local, remote, bounce].flatMap((files) =>
      [...files].filter(([number]) => !isMessage(number)).map(([, file]) => file),
    )
    const born = this.entries('pid').map((name) => join('pid', name))
    return {
      directory: this.directory,
      identity: this.identity,
      messages,
      broken: this.broken,
      strange: this.strange,
      leftovers: [...leftovers, ...born].sort(),
      isRunning,
    }
  }

  /** qmail-send holds a lock as long as it runs. */
  private isRunning(): boolean {
    let fd: number
    try {
      fd = openSync(join(this.directory, 'lock/sendmutex'), constants.O_RDONLY | safely)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false
      throw error
    }
    try {
      return tryLockExclusive(fd) === 'busy'
    } finally {
      closeSync(fd)
    }
  }

  private content(number: string, file: string | undefined): QmailMessageBase {
    if (file === undefined) throw new Broken(`mess/${number}`, 'is not there, and its envelope is: the content is lost')
    const { facts, head } = this.open(file, (fd, opened) => {
      const line = Buffer.alloc(firstLineBytesMax)
      return { facts: opened, head: fromBuffer(line.subarray(0, readSync(fd, line, 0, line.length, 0))) }
    })
    const contentPath = join(this.directory, file)
    return { number, contentPath, bytes: facts.size, invoker: invokerOf(head), sender: '' }
  }

  private queued(content: QmailMessageBase, file: string): QmailQueued {
    const envelope = parseQueuedEnvelope(this.records(file).text)
    if (typeof envelope === 'string') throw new Broken(file, envelope)
    const { sender, recipients, uid } = envelope
    // The Received line on top says more about qmail's own accounts; qmail-queue wrote both.
    return { ...content, kind: 'queued', invoker: content.invoker ?? uid, sender, recipients }
  }

  private routed(
    content: QmailMessageBase,
    infoFile: string,
    local: string | undefined,
    remote: string | undefined,
    bounce: string | undefined,
  ): QmailRouted {
    const info = this.records(infoFile)
    const parsed = parseInfo(info.text)
    if (typeof parsed === 'string') throw new Broken(infoFile, `${parsed}: nobody knows its sender`)
    return {
      ...content,
      kind: 'routed',
      sender: parsed.sender,
      bornMs: info.modifiedMs,
      local: this.channel(local),
      remote: this.channel(remote),
      bounce: bounce === undefined ? '' : this.records(bounce).text,
    }
  }

  private channel(file: string | undefined): QmailChannel | undefined {
    if (file === undefined) return undefined
    const { text, modifiedMs } = this.records(file)
    const { recipients, fault } = parseChannel(text)
    if (fault !== undefined) throw new Broken(file, `${fault}: nobody knows all its recipients`)
    return { dueMs: modifiedMs, recipients }
  }

  private records(file: string): { text: ByteString; modifiedMs: number } {
    return this.open(file, (fd, facts) => {
      if (facts.size > recordsBytesMax) throw new Broken(file, `has ${facts.size} bytes, limit ${recordsBytesMax}`)
      const bytes = Buffer.alloc(facts.size)
      let filled = 0
      while (filled < bytes.length) {
        const count = readSync(fd, bytes, filled, bytes.length - filled, filled)
        if (count === 0) throw new Broken(file, 'became shorter while it was read')
        filled += count
      }
      return { text: fromBuffer(bytes), modifiedMs: Math.floor(facts.mtimeMs) }
    })
  }

  private open<T>(file: string, work: (fd: number, facts: Stats) => T): T {
    let fd: number | undefined
    try {
      fd = openSync(join(this.directory, file), constants.O_RDONLY | safely)
      const facts = fstatSync(fd)
      if (!facts.isFile()) throw new Broken(file, 'is no file')
      return work(fd, facts)
    } catch (error) {
      if (error instanceof Broken) throw error
      if (errorCode(error) === 'ENOENT') throw new Broken(file, 'went away while the queue was read: who works in it?')
      if (errorCode(error) === 'ELOOP') throw new Broken(file, 'is a link, and no file')
      throw new Broken(file, `cannot be read: ${describeError(error)}`)
    } finally {
      if (fd !== undefined) closeSync(fd)
    }
  }

  /** Files of one of the queue's directories by their numbers, whether it is split or not. */
  private numbers(name: string): Map<string, string> {
    const files = new Map<string, string>()
    const add = (number: string, file: string): void => {
      const other = files.get(number)
      if (other === undefined) files.set(number, file)
      else this.strange.push({ file, fault: `has the number of ${other}, which counts` })
    }
    for (const entry of this.entries(name)) {
      const file = join(name, entry)
      if (!isNumber(entry)) this.strange.push({ file, fault: 'is no name that qmail gives' })
      else if (!isDirectory(join(this.directory, file))) add(entry, file)
      else
        for (const inner of this.entries(file)) {
          if (isNumber(inner)) add(inner, join(file, inner))
          else this.strange.push({ file: join(file, inner), fault: 'is no name that qmail gives' })
        }
    }
    return files
  }

  /** A queue that lacks one of its directories is still read, and the lack reported. */
  private entries(directory: string): string[] {
    try {
      return readdirSync(join(this.directory, directory), 'latin1').sort()
    } catch (error) {
      const fault = errorCode(error) === 'ENOENT' ? 'is not there' : `cannot be read: ${describeError(error)}`
      if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR') throw error
      this.strange.push({ file: directory, fault })
      return []
    }
  }
}

class Broken extends Error {
  readonly fault: QueueFault

  constructor(file: string, fault: string) {
    super(fault)
    this.fault = { file, fault }
  }
}

const safely = constants.O_NOFOLLOW | constants.O_NONBLOCK

function isDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function isNumber(name: string): boolean {
  return /^(?:0|[1-9][0-9]{0,19})$/.test(name)
}

function ascending(numbers: ReadonlySet<string>): string[] {
  return [...numbers].sort((one, other) => one.length - other.length || (one < other ? -1 : 1))
}
