/** Brings a message's content to a deliverer: with the attempt if it is small, on its `fetch` if it is large. */
import { encodeToDeliverer, tokenBytes } from '../../contracts/deliver.ts'
import { inlineBytesMax } from '../../contracts/enqueue.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import type { Random } from '../../system/random.ts'
import type { QueueStore } from '../../stores/queue/contract.ts'
import type { Group, LiveMessage } from './live-message.ts'

const lineFeed = 10

export class ContentSource {
  private readonly store: QueueStore
  private readonly random: Random

  constructor(store: QueueStore, random: Random) {
    this.store = store
    this.random = random
  }

  /** Small content, or undefined after giving the group a token with which to fetch it. Rejects if it cannot be read. */
  async prepare(group: Group): Promise<Buffer | undefined> {
    const { live } = group.pass
    if (live.message.bytes > inlineBytesMax) {
      group.token = this.random.bytes(tokenBytes).toString('latin1')
      return undefined
    }
    live.content ??= await this.smallContent(live)
    return live.content
  }

  /** Answers a `fetch`: content frames at the pace at which they are read, then the end, or that it failed. */
  async stream(connection: FrameConnection, ref: number, messageId: number): Promise<void> {
    try {
      for await (const bytes of this.store.content(messageId)) {
        if (connection.closed) return
        connection.send(encodeToDeliverer({ kind: 'content', ref, bytes }))
        await connection.pressure()
      }
      connection.send(encodeToDeliverer({ kind: 'contentEnd', ref }))
    } catch {
      // The deliverer reports a deferral, whose text says that the message could not be read.
      connection.send(encodeToDeliverer({ kind: 'contentFailed', ref }))
    }
  }

  /** At most so many bytes from the beginning. */
  async beginningOf(messageId: number, bytesMax: number): Promise<Buffer> {
    return Buffer.concat(await Array.fromAsync(this.beginning(messageId, bytesMax)))
  }

  /** The same, in chunks. */
  async *beginning(messageId: number, bytesMax: number): AsyncGenerator<Buffer> {
    let left = bytesMax
    for await (const bytes of this.store.content(messageId)) {
      yield bytes.subarray(0, left)
      left -= bytes.length
      if (left <= 0) return
    }
  }

  /** How many of the first `bytesMax` bytes make whole lines. */
  async wholeLines(messageId: number, bytesMax: number): Promise<number> {
    let whole = 0
    let at = 0
    for await (const bytes of this.beginning(messageId, bytesMax)) {
      const end = bytes.lastIndexOf(lineFeed)
      if (end !== -1) whole = at + end + 1
      at += bytes.length
    }
    return whole
  }

  private async smallContent({ message }: LiveMessage): Promise<Buffer> {
    const content = await this.beginningOf(message.id, inlineBytesMax)
    if (content.length !== message.bytes)
      throw new Error(`content of ${content.length} bytes, ${message.bytes} expected`)
    return content
  }
}
