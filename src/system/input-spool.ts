/** Content of unknown length, kept until its length is known: small in memory, large in an unlinked temporary file. */
import { randomBytes } from 'node:crypto'
import { createReadStream, constants, fstatSync } from 'node:fs'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { inlineBytesMax } from '../contracts/enqueue.ts'

const readBytes: number = 64 * 1024

export interface Spooled {
  readonly bytes: number
  /** The whole, if it is small. */
  readonly whole: Buffer | undefined
  chunks(): AsyncIterable<Buffer>
  close(): Promise<void>
}

/** Throws if the input breaks off with an error, or the temporary directory is full. */
export async function spool(input: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<Spooled> {
  const first: Buffer[] = []
  let bytes = 0
  let file: FileHandle | undefined
  try {
    for await (const chunk of input) {
      bytes += chunk.length
      if (bytes <= inlineBytesMax) {
        first.push(chunk)
        continue
      }
      if (file === undefined) {
        file = await openUnlinked()
        await file.appendFile(Buffer.concat(first))
      }
      await file.appendFile(chunk)
    }
  } catch (error) {
    await file?.close()
    throw error
  }
  return file === undefined ? inMemory(Buffer.concat(first)) : inFile(file, bytes)
}

/** A descriptor that was handed to us, whatever it is. */
export function readDescriptor(fd: number): Readable {
  const facts = fstatSync(fd)
  if (facts.isFIFO() || facts.isSocket()) return new Socket({ fd, readable: true, writable: false })
  return createReadStream('', { fd, autoClose: false, highWaterMark: readBytes })
}

function inMemory(whole: Buffer): Spooled {
  return {
    bytes: whole.length,
    whole,
    async *chunks() {
      yield await Promise.resolve(whole)
    },
    close: () => Promise.resolve(),
  }
}

function inFile(file: FileHandle, bytes: number): Spooled {
  return {
    bytes,
    whole: undefined,
    async *chunks() {
      for (let at = 0; at < bytes; ) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(readBytes), 0, readBytes, at)
        if (bytesRead === 0) throw new Error('the temporary file became shorter')
        at += bytesRead
        yield buffer.subarray(0, bytesRead)
      }
    },
    close: () => file.close(),
  }
}

async function openUnlinked(): Promise<FileHandle> {
  const path = join(tmpdir(), `quaver-${process.pid}-${randomBytes(8).toString('hex')}`)
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  const file = await open(path, flags, 0o600)
  await unlink(path)
  return file
}
