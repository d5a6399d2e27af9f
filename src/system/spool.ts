/** Bytes that are at hand as a whole: in memory, or in a temporary file that has no name any more.
 *  Fails:  throws as Node does. */
import { closeSync, constants, fstatSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Random } from './random.ts'

export interface StoredBytes {
  readonly bytes: number
  /** From the start, any number of times. `into`: gives a buffer if the bytes lie in a file; each chunk is read into that
   *  buffer, and is good until the next one is asked for. Without it, each chunk is the caller's own. */
  chunks(into?: () => Buffer): Iterable<Buffer>
}

const chunkBytes: number = 64 * 1024

export function storedInMemory(parts: readonly Buffer[]): StoredBytes {
  let bytes = 0
  for (const part of parts) bytes += part.length
  return { bytes, chunks: () => parts }
}

/** An open file with `head` before it. */
export function storedInFile(head: Buffer, fd: number): StoredBytes {
  const { size } = fstatSync(fd)
  return {
    bytes: head.length + size,
    *chunks(into) {
      if (head.length > 0) yield head
      yield* chunksOf(fd, size, into)
    },
  }
}

function* chunksOf(fd: number, bytes: number, into: (() => Buffer) | undefined): Generator<Buffer> {
  const room = into?.()
  let position = 0
  while (position < bytes) {
    const buffer = room ?? Buffer.allocUnsafe(Math.min(chunkBytes, bytes - position))
    const count = readSync(fd, buffer, 0, Math.min(buffer.length, bytes - position), position)
    if (count === 0) throw new Error('a file shorter than it was')
    position += count
    yield buffer.subarray(0, count)
  }
}

export class Spool implements StoredBytes {
  /** Its offset stays at the start, for a program that reads it: all our own calls name their positions. */
  readonly fd: number
  private written = 0

  constructor(random: Random, directory: string = tmpdir()) {
    const path = join(directory, `.quaver.${process.pid}.${random.bytes(12).toString('hex')}`)
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
    this.fd = openSync(path, flags, 0o600)
    unlinkSync(path)
  }

  get bytes(): number {
    return this.written
  }

  /** Another process wrote through `fd`: takes the length from the file. */
  measure(): void {
    this.written = fstatSync(this.fd).size
  }

  append(chunk: Uint8Array): void {
    let rest = chunk
    while (rest.byteLength > 0) {
      const count = writeSync(this.fd, rest, 0, rest.byteLength, this.written)
      this.written += count
      rest = rest.subarray(count)
    }
  }

  chunks(into?: () => Buffer): Iterable<Buffer> {
    return chunksOf(this.fd, this.written, into)
  }

  close(): void {
    closeSync(this.fd)
  }
}

/** Of what is gathered, until it becomes a file. */
const memoryBytesMax: number = 64 * 1024

/** Bytes that come piece by piece, their length not known: few in memory, many in a file. */
export class Gathered implements StoredBytes {
  private readonly random: Random
  private pieces: Buffer[] = []
  private inMemory = 0
  private file: Spool | undefined

  constructor(random: Random) {
    this.random = random
  }

  get bytes(): number {
    return this.file?.bytes ?? this.inMemory
  }

  /** The bytes are its own from now on. */
  append(bytes: Buffer): void {
    if (this.file === undefined && this.inMemory + bytes.length <= memoryBytesMax) {
      this.pieces.push(bytes)
      this.inMemory += bytes.length
      return
    }
    this.file ??= spooled(this.random, this.pieces)
    this.pieces = []
    this.file.append(bytes)
  }

  chunks(into?: () => Buffer): Iterable<Buffer> {
    return this.file?.chunks(into) ?? this.pieces
  }

  /** A second call does nothing. */
  close(): void {
    this.file?.close()
    this.file = undefined
    this.pieces = []
  }
}

/** All of them in a file. */
export function spooled(random: Random, ...parts: readonly Iterable<Buffer>[]): Spool {
  const spool = new Spool(random)
  try {
    for (const part of parts) for (const bytes of part) spool.append(bytes)
    return spool
  } catch (error) {
    spool.close()
    throw error
  }
}

/** Lets other work run; call it now and then in a long loop over chunks. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
