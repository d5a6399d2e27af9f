/** Writes a qmail's queue: each message as qmail-send leaves one that is routed and perhaps half delivered (mess, info, local,
 *  remote, bounce), under the number of its file's inode.
 *  Order:  content, then channels and bounce, each synced with its directory; info last, by a link: with it the message is
 *          complete. An unfinished message is a leftover, which qmail-send removes.
 *  Fails:  throws as Node does; files already written stay. */
import { execFile } from 'node:child_process'
import { constants, existsSync, lstatSync, readdirSync, statSync } from 'node:fs'
import { chmod, chown, type FileHandle, link, mkdir, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { type ChannelRecipient, formatChannel, formatInfo } from '../../protocols/qmail/queue-files.ts'
import { errorCode, realFiles } from '../../system/files.ts'
import type { OwnerIds } from '../../system/as-owner.ts'

/** qmail's default split, a prime. */
const usualSplit = 23
const deadHostsBytes = 1024
const splitNames: readonly string[] = ['mess', 'info', 'local', 'remote']

/** The ids of qmail's accounts that own files in a queue; undefined: the caller owns everything. */
export type QueueOwners = Readonly<Record<'qmailq' | 'qmails' | 'qmailr', OwnerIds>> | undefined

export interface LeavingChannel {
  readonly dueMs: number
  readonly recipients: readonly ChannelRecipient[]
}

/** Times are the machine's. */
export interface Leaving {
  readonly bornMs: number
  readonly sender: ByteString
  readonly local: LeavingChannel | undefined
  readonly remote: LeavingChannel | undefined
  /** Empty: no file. */
  readonly bounce: ByteString
  content(): AsyncIterable<Uint8Array>
}

export type QueueAccount = keyof NonNullable<QueueOwners>

/** Directories and files of a queue, with owner and mode. */
const tree: readonly { readonly name: string; readonly owner: QueueAccount; readonly mode: number }[] = [
  { name: '', owner: 'qmailq', mode: 0o750 },
  { name: 'pid', owner: 'qmailq', mode: 0o700 },
  { name: 'intd', owner: 'qmailq', mode: 0o700 },
  { name: 'todo', owner: 'qmailq', mode: 0o750 },
  { name: 'mess', owner: 'qmailq', mode: 0o750 },
  { name: 'info', owner: 'qmails', mode: 0o700 },
  { name: 'local', owner: 'qmails', mode: 0o700 },
  { name: 'remote', owner: 'qmails', mode: 0o700 },
  { name: 'bounce', owner: 'qmails', mode: 0o700 },
  { name: 'lock', owner: 'qmailq', mode: 0o750 },
]

export class QmailQueueWriter {
  private readonly directory: string
  private readonly owners: QueueOwners
  private readonly split: number
  private count = 0

  private constructor(directory: string, owners: QueueOwners, split: number) {
    this.directory = directory
    this.owners = owners
    this.split = split
  }

  /** An existing queue keeps its owners and split; else a new one is made. */
  static async at(directory: string, ownersOfNew: QueueOwners): Promise<QmailQueueWriter> {
    if (existsSync(join(directory, 'mess')))
      return new QmailQueueWriter(directory, ownersIn(directory), splitOf(directory))
    const writer = new QmailQueueWriter(directory, ownersOfNew, usualSplit)
    await writer.make()
    return writer
  }

  /** Returns its number. */
  async add(message: Leaving): Promise<bigint> {
    const born = join('pid', `${process.pid}.${Math.floor(message.bornMs / 1000)}.${++this.count}`)
    const file = await this.create(born, 'qmailq', 0o644)
    let number: bigint
    try {
      for await (const portion of message.content()) await writeAll(file, portion)
      number = (await file.stat({ bigint: true })).ino
      await file.sync()
    } finally {
      await file.close()
    }
    const places = new Map(splitNames.map((name) => [name, join(name, String(number % BigInt(this.split)))]))
    const place = (name: string): string => join(places.get(name) ?? name, String(number))
    await this.clear(['local', 'remote', 'bounce', 'info'].map(place))
    await link(this.path(born), this.path(place('mess')))
    await unlink(this.path(born))
    for (const channel of ['local', 'remote'] as const) {
      const leaving = message[channel]
      if (leaving === undefined) continue
      await this.write(place(channel), formatChannel(leaving.recipients), leaving.dueMs)
    }
    if (message.bounce !== '') await this.write(place('bounce'), message.bounce, undefined)
    await this.write(born, formatInfo(message.sender), message.bornMs)
    for (const name of ['mess', 'local', 'remote', 'bounce']) await this.syncDirectory(places.get(name) ?? name)
    await link(this.path(born), this.path(place('info')))
    await unlink(this.path(born))
    await this.syncDirectory(places.get('info') ?? 'info')
    return number
  }

  private async write(name: string, text: ByteString, modifiedMs: number | undefined): Promise<void> {
    const file = await this.create(name, 'qmails', 0o600)
    try {
      await writeAll(file, toBuffer(text))
      if (modifiedMs !== undefined) await file.utimes(modifiedMs / 1000, modifiedMs / 1000)
      await file.sync()
    } finally {
      await file.close()
    }
  }

  private async create(name: string, owner: QueueAccount, mode: number): Promise<FileHandle> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    const file = await open(this.path(name), flags, 0o600)
    const ids = this.owners?.[owner]
    if (ids !== undefined) await file.chown(ids.uid, ids.gid)
    await file.chmod(mode)
    return file
  }

  /** Removes files of an earlier message with this number: qmail-send would take them for this one's. */
  private async clear(names: readonly string[]): Promise<void> {
    for (const name of names) await realFiles.remove(this.path(name))
  }

  private syncDirectory(name: string): Promise<void> {
    return realFiles.syncDirectory(this.path(name))
  }

  private path(name: string): string {
    return join(this.directory, name)
  }

  private async make(): Promise<void> {
    for (const { name, owner, mode } of tree) {
      await this.makeDirectory(name, owner, mode)
      if (!splitNames.includes(name)) continue
      for (let at = 0; at < this.split; at++) await this.makeDirectory(join(name, String(at)), owner, mode)
    }
    const made = async (name: string, owner: QueueAccount, mode: number, bytes: number): Promise<void> => {
      const file = await this.create(join('lock', name), owner, mode)
      await writeAll(file, Buffer.alloc(bytes))
      await file.sync()
      await file.close()
    }
    await made('sendmutex', 'qmails', 0o600, 0)
    await made('tcpto', 'qmailr', 0o644, deadHostsBytes)
    const trigger = this.path('lock/trigger')
    await promisify(execFile)('mkfifo', ['-m', '0600', '--', trigger], { timeout: 10_000 })
    const ids = this.owners?.qmails
    if (ids !== undefined) await chown(trigger, ids.uid, ids.gid)
    await chmod(trigger, 0o622)
    for (const { name } of tree) await this.syncDirectory(name)
  }

  private async makeDirectory(name: string, owner: QueueAccount, mode: number): Promise<void> {
    const path = this.path(name)
    try {
      await mkdir(path, { mode: 0o700, recursive: name === '' })
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
    const ids = this.owners?.[owner]
    if (ids !== undefined) await chown(path, ids.uid, ids.gid)
    await chmod(path, mode)
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.byteLength > 0; ) rest = rest.subarray((await file.write(rest)).bytesWritten)
}

/** Taken from the queue's directories. */
function ownersIn(directory: string): QueueOwners {
  const of = (name: string): OwnerIds => statSync(join(directory, name))
  const deadHosts = lstatSync(join(directory, 'lock/tcpto'), { throwIfNoEntry: false })
  return { qmailq: of('mess'), qmails: of('info'), qmailr: deadHosts ?? of('mess') }
}

function splitOf(directory: string): number {
  const splits = splitNames.map(
    (name) => readdirSync(join(directory, name)).filter((one) => /^[0-9]+$/.test(one)).length,
  )
  const [split = 0] = splits
  if (split === 0 || splits.some((one) => one !== split))
    throw new Error(`${directory}: mess, info, local and remote are not split alike; give an empty directory instead`)
  return split
}
