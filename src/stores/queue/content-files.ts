/** Bodies too large for a row: one file each in `content/`, named by the message id (states Q2 and Q3 of README.md).
 *  Fails:  rejects with StoreError while one is written; otherwise throws as the file system does. */
import { closeSync, fstatSync, openSync, unlinkSync } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { chunkBytesMax } from '../../contracts/enqueue.ts'
import { DirectorySync } from '../../system/directory-sync.ts'
import { errorCode, type Files, type OpenFile, synced } from '../../system/files.ts'
import { hasNoWriter } from '../../system/libc.ts'
import { type BodyFile, type NewBody, StoreError } from './contract.ts'

export class ContentFiles {
  private readonly directory: string
  private readonly files: Files
  private readonly names: DirectorySync
  private provesWriters: boolean | undefined

  constructor(directory: string, files: Files) {
    this.directory = directory
    this.files = files
    this.names = new DirectorySync((path) => files.syncDirectory(path))
  }

  async newBody(id: number): Promise<NewBody> {
    const file = await asStoreError(this.files.create(this.path(id), 0o600))
    let isOpen = true
    let isGiven = false
    const close = async (): Promise<void> => {
      if (isOpen) await file.close()
      isOpen = false
    }
    return {
      write: (pieces) => asStoreError(file.write(pieces)),
      give: async (send) => {
        this.provesWriters ??= provesWriters(dirname(this.directory))
        if (!this.provesWriters || file.fd === undefined || !send(file.fd)) return false
        isGiven = true
        await close()
        return true
      },
      seal: (bytes) => asStoreError(isGiven ? this.sealGiven(id, bytes) : this.seal(file, close)),
      discard: async () => {
        // A file that stays does no harm (state Q2): the next start removes it.
        await close().catch(() => undefined)
        await this.remove(id).catch(() => undefined)
      },
    }
  }

  remove(id: number): Promise<void> {
    return this.files.remove(this.path(id))
  }

  /** Head and body in pieces of at most 64 KiB. */
  async *pieces(id: number, head: ByteString): AsyncGenerator<Buffer> {
    let lead = toBuffer(head)
    const file = await open(this.path(id), 'r')
    try {
      for (;;) {
        const piece = Buffer.allocUnsafe(chunkBytesMax)
        const leadBytes = lead.copy(piece)
        lead = lead.subarray(leadBytes)
        const { bytesRead } = await file.read(piece, leadBytes, chunkBytesMax - leadBytes)
        if (leadBytes + bytesRead === 0) return
        yield piece.subarray(0, leadBytes + bytesRead)
      }
    } finally {
      await file.close()
    }
  }

  /** Throws as the file system does. */
  bodyFile(id: number, head: ByteString): BodyFile {
    const fd = openSync(this.path(id), 'r')
    return { head, fd, close: () => closeSync(fd) }
  }

  /** Removes files of messages that `isKnown` does not know; returns names that are not ours. */
  async removeOrphans(isKnown: (id: number) => boolean): Promise<string[]> {
    const foreign: string[] = []
    for (const name of await readdir(this.directory)) {
      if (!/^[1-9][0-9]{0,18}$/.test(name)) foreign.push(name)
      else if (!isKnown(Number(name))) await this.remove(Number(name))
    }
    return foreign
  }

  private path(id: number): string {
    return join(this.directory, String(id))
  }

  /** Whoever wrote it may not have what it could be changed by: neither a descriptor, nor a mapping. */
  private async sealGiven(id: number, bytes: number): Promise<void> {
    const fd = openSync(this.path(id), 'r')
    try {
      if (!hasNoWriter(fd)) throw new Error('somebody has the body open for writing')
      const { size } = fstatSync(fd)
      if (size !== bytes) throw new Error(`a body of ${size} bytes, ${bytes} were announced`)
      await synced(fd)
    } finally {
      closeSync(fd)
    }
    await this.names.sync(this.directory)
  }

  /** After it returns the content, and its name, survive a power cut. */
  private async seal(file: OpenFile, close: () => Promise<void>): Promise<void> {
    await file.sync()
    await close()
    await this.names.sync(this.directory)
  }
}

/** Can it be proved of a file in this directory that nobody writes it any more? */
function provesWriters(directory: string): boolean {
  const path = join(directory, 'probe')
  try {
    const writer = openSync(path, 'w', 0o600)
    const reader = openSync(path, 'r')
    const isSeen = !hasNoWriter(reader)
    closeSync(writer)
    const proves = isSeen && hasNoWriter(reader)
    closeSync(reader)
    unlinkSync(path)
    return proves
  } catch {
    // Bodies then come in frames.
    return false
  }
}

export function* piecesOf(whole: Buffer): Generator<Buffer> {
  for (let at = 0; at < whole.length; at += chunkBytesMax) yield whole.subarray(at, at + chunkBytesMax)
}

async function asStoreError<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    const isFull = ['ENOSPC', 'EDQUOT'].includes(errorCode(error))
    throw new StoreError(isFull ? 'full' : 'other', isFull ? 'no space left on device' : describeError(error))
  }
}
