/** Content that the queue has: in frames, into memory while the process has room for it, else into a spool file; or with its
 *  body as an open file.
 *  Fails:  `arrived` says undefined if the queue could not send it, or it stopped coming, or its length is wrong, or there is
 *          no spool file to be had. */
import { closeSync } from 'node:fs'
import { describeError } from '../../base/outcome.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { Random } from '../../system/random.ts'
import { Spool, type StoredBytes, storedInFile, storedInMemory } from '../../system/spool.ts'

/** Fetched content held in memory by this process at once; beyond it, and for anything larger, there are files. */
const memoryBytesMax: number = 8 * 1024 * 1024
const memoryBytesOfOneMax: number = 2 * 1024 * 1024
/** Between two frames of one content. */
const progressMillisecondsMax = 120_000

/** What all contents of a process share. */
export class ContentRoom {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  private heldBytes = 0

  constructor(clock: Clock, random: Random, log: Log) {
    this.clock = clock
    this.random = random
    this.log = log
  }

  take(bytes: number): boolean {
    if (bytes > memoryBytesOfOneMax || this.heldBytes + bytes > memoryBytesMax) return false
    this.heldBytes += bytes
    return true
  }

  give(bytes: number): void {
    this.heldBytes -= bytes
  }
}

export interface FetchedContent extends StoredBytes {
  /** Gives back memory or file. */
  release(): void
}

export class IncomingContent {
  /** Settles once; never rejects. */
  readonly arrived: Promise<FetchedContent | undefined>
  private readonly room: ContentRoom
  private readonly bytesExpected: number
  private readonly parts: Buffer[] = []
  private isHeld = false
  private spool: Spool | undefined
  private bytesHere = 0
  private ended = false
  private settle: (content: FetchedContent | undefined) => void = () => undefined
  private cancelTimer: () => void = () => undefined

  constructor(room: ContentRoom, bytesExpected: number) {
    this.room = room
    this.bytesExpected = bytesExpected
    this.arrived = new Promise((resolve) => {
      this.settle = resolve
    })
    this.watch()
  }

  append(bytes: Buffer): void {
    if (this.ended) return
    this.bytesHere += bytes.length
    if (this.bytesHere > this.bytesExpected) return this.fail('content longer than announced')
    this.watch()
    try {
      this.takeRoom()
      // The frame's bytes are a view into a larger buffer that must not be kept.
      if (this.spool === undefined) this.parts.push(Buffer.from(bytes))
      else this.spool.append(bytes)
    } catch (error) {
      this.fail(describeError(error))
    }
  }

  complete(): void {
    if (this.ended) return
    if (this.bytesHere !== this.bytesExpected) return this.fail('content shorter than announced')
    this.end()
    const { spool } = this
    const release = (): void => this.release()
    const stored = spool ?? storedInMemory(this.parts)
    this.settle({ bytes: stored.bytes, chunks: (into) => stored.chunks(into), release })
  }

  /** The body is a file, ours to close. */
  file(head: Buffer, fd: number): void {
    const content = this.ended ? undefined : storedInFile(head, fd)
    if (content?.bytes !== this.bytesExpected) {
      closeSync(fd)
      return this.fail('content of another length than announced')
    }
    this.end()
    this.settle({ bytes: content.bytes, chunks: (into) => content.chunks(into), release: () => closeSync(fd) })
  }

  fail(reason: string): void {
    if (this.ended) return
    this.room.log(`content not received: ${reason}`)
    this.end()
    this.release()
    this.settle(undefined)
  }

  private end(): void {
    this.ended = true
    this.cancelTimer()
  }

  private takeRoom(): void {
    if (this.isHeld || this.spool !== undefined) return
    this.isHeld = this.room.take(this.bytesExpected)
    if (!this.isHeld) this.spool = new Spool(this.room.random)
  }

  private release(): void {
    if (this.isHeld) this.room.give(this.bytesExpected)
    this.isHeld = false
    this.spool?.close()
  }

  private watch(): void {
    this.cancelTimer()
    this.cancelTimer = this.room.clock.after(progressMillisecondsMax, () => this.fail('it stopped coming'))
  }
}
