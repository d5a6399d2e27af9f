/** Content that comes in frames: in memory while the process has room for it, else in a spool file.
 *  Fails:  `arrived` says undefined if the queue could not send it, or it stopped coming, or its length is wrong; the
 *          constructor throws if there is no file to be had. */
import { describeError } from '../../base/outcome.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { Random } from '../../system/random.ts'
import { Spool, type StoredBytes, storedInMemory } from '../../system/spool.ts'

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
  private readonly spool: Spool | undefined
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
    if (!room.take(bytesExpected)) this.spool = new Spool(room.random)
    this.watch()
  }

  append(bytes: Buffer): void {
    if (this.ended) return
    this.bytesHere += bytes.length
    if (this.bytesHere > this.bytesExpected) return this.fail('content longer than announced')
    this.watch()
    if (this.spool === undefined) {
      // The frame's bytes are a view into a larger buffer that must not be kept.
      this.parts.push(Buffer.from(bytes))
      return
    }
    try {
      this.spool.append(bytes)
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
    this.settle({ bytes: stored.bytes, chunks: () => stored.chunks(), release })
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

  private release(): void {
    if (this.spool === undefined) this.room.give(this.bytesExpected)
    else this.spool.close()
  }

  private watch(): void {
    this.cancelTimer()
    this.cancelTimer = this.room.clock.after(progressMillisecondsMax, () => this.fail('it stopped coming'))
  }
}
