/** A body on its way into a file that the queue gave: what comes during one write goes together into the next. Writes are made
 *  in the pool, because the disk may make them wait.
 *  Fails:  after the first trouble nothing more is written; `close` tells it, in qmail-queue's words. */
import { closeSync } from 'node:fs'
import { describeError, type Failure, transient } from '../../base/outcome.ts'
import { behind, errorCode, writeSome } from '../../system/files.ts'

/** Gathered during a write; beyond this `write` waits. */
const gatheredBytesMax: number = 256 * 1024

export class BodyWriter {
  private readonly fd: number
  private gathered: Buffer[] = []
  private gatheredBytes = 0
  private writing: Promise<void> | undefined
  private failure: Failure | undefined
  private closing: Promise<void> | undefined
  private written = 0

  /** The descriptor is its own from now on. */
  constructor(fd: number) {
    this.fd = fd
  }

  /** Given to it so far. */
  get bytes(): number {
    return this.written
  }

  /** Resolves when the next bytes may come; never rejects. */
  async write(bytes: Buffer): Promise<void> {
    if (this.failure !== undefined || this.closing !== undefined) return
    this.gathered.push(bytes)
    this.gatheredBytes += bytes.length
    this.written += bytes.length
    this.writing ??= this.writeAll()
    if (this.gatheredBytes > gatheredBytesMax) await this.writing
  }

  /** Resolves when this process can write no more to the file. */
  async close(): Promise<Failure | undefined> {
    this.closing ??= this.finish()
    await this.closing
    return this.failure
  }

  private async finish(): Promise<void> {
    await this.writing
    try {
      closeSync(this.fd)
    } catch (error) {
      this.failure ??= failureOf(error)
    }
  }

  private async writeAll(): Promise<void> {
    try {
      while (this.gathered.length > 0) {
        let rest: readonly Uint8Array[] = this.gathered
        this.gathered = []
        this.gatheredBytes = 0
        while (rest.length > 0) rest = behind(rest, await writeSome(this.fd, rest))
      }
    } catch (error) {
      this.failure = failureOf(error)
      this.gathered = []
    }
    this.writing = undefined
  }
}

function failureOf(error: unknown): Failure {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(errorCode(error))
  return transient(
    isFull ? '3.1' : '3.0',
    'qq write error or disk full',
    `cannot write the queue's file: ${describeError(error)}`,
  )
}
