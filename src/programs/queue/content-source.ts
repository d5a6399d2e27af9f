/** Brings a message's content to a deliverer: with the attempt if it is small, on its `fetch` if it is large. */
import { attemptContentBytesMax, encodeToDeliverer, tokenBytes } from '../../contracts/deliver.ts'
import { headBytesMax, inlineBytesMax } from '../../contracts/enqueue.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import type { Random } from '../../system/random.ts'
import { sendDescriptor } from '../../system/descriptor-passing.ts'
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
    const { bytes, inFile } = live.message
    if (bytes > (inFile ? inlineBytesMax : attemptContentBytesMax)) {
      group.isHanded = false
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

  /** The same where the body is a file that can be handed over, on the other connection of the same process: `descriptors`. */
  async hand(connection: FrameConnection, descriptors: number, ref: number, messageId: number): Promise<void> {
    if (await this.isHanded(connection, descriptors, ref, messageId)) return
    await this.stream(connection, ref, messageId)
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

  private async isHanded(
    connection: FrameConnection,
    descriptors: number,
    ref: number,
    messageId: number,
  ): Promise<boolean> {
    try {
      const file = await this.store.bodyFile(messageId)
      if (file === undefined) return false
      try {
        const { head, fd } = file
        if (connection.closed || head.length > 2 * headBytesMax || !sendDescriptor(descriptors, fd, ref)) return false
        connection.send(encodeToDeliverer({ kind: 'contentFile', ref, head }))
        return true
      } finally {
        file.close()
      }
    } catch {
      // Whoever streams it says so.
      return false
    }
  }

  private async smallContent({ message }: LiveMessage): Promise<Buffer> {
    const content = await this.beginningOf(message.id, attemptContentBytesMax)
    if (content.length !== message.bytes)
      throw new Error(`content of ${content.length} bytes, ${message.bytes} expected`)
    return content
  }
}
