/** Large content, fetched from the queue on a connection of its own while it is sent on, so that memory stays bounded.
 *  Knows:  the fetch half of the deliver contract, back-pressure.
 *  Fails:  throws ContentError from the iteration if the content is truncated; the final dot must not be sent then. */
import type { Socket } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import { ContentError } from '../../clients/smtp/transaction.ts'
import { type Attempt, decodeToDeliverer, encodeFromDeliverer } from '../../contracts/deliver.ts'
import { encodeHello } from '../../contracts/hello.ts'
import { type Clock, within } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'
import type { Log } from '../../system/log.ts'

/** With more unread bytes than this the queue's connection is paused. */
const bufferedBytesMax: number = 256 * 1024
const chunkMillisecondsMax = 60_000

/** Each call fetches anew: the token is valid as long as the attempt. */
export async function* fetchContent(
  attempt: Attempt,
  connect: () => Promise<Socket>,
  clock: Clock,
  log: Log,
): AsyncGenerator<Buffer> {
  try {
    yield* fetchAll(attempt, connect, clock)
  } catch (error) {
    log(`warning: cannot read the content of msg ${attempt.messageId}: ${describeError(error)}`)
    throw error
  }
}

async function* fetchAll(attempt: Attempt, connect: () => Promise<Socket>, clock: Clock): AsyncGenerator<Buffer> {
  const socket = await inTime(clock, connect())
  const arrivals = new Arrivals(socket, attempt.ref)
  const { ref, messageId, token } = attempt
  arrivals.connection.send(encodeHello({ purpose: 'fetch', uid: 0 }))
  arrivals.connection.send(encodeFromDeliverer({ kind: 'fetch', ref, messageId, token }))
  let bytes = 0
  try {
    for (;;) {
      const chunk = await inTime(clock, arrivals.next())
      if (chunk === undefined) break
      bytes += chunk.length
      yield chunk
    }
    if (bytes !== attempt.contentBytes) throw new ContentError(`${bytes} bytes of ${attempt.contentBytes}`)
  } finally {
    arrivals.connection.destroy('')
  }
}

/** Every error on the way to the content becomes a ContentError. */
async function inTime<T>(clock: Clock, promise: Promise<T>): Promise<T> {
  try {
    return await within(clock, chunkMillisecondsMax, 'content', promise)
  } catch (error) {
    throw new ContentError(describeError(error))
  }
}

/** Frames received and not yet consumed. */
class Arrivals {
  readonly connection: FrameConnection
  private readonly ref: number
  private readonly chunks: Buffer[] = []
  private buffered = 0
  private end: 'open' | 'complete' | 'broken' = 'open'
  private wake: () => void = () => undefined

  constructor(socket: Socket, ref: number) {
    this.ref = ref
    this.connection = new FrameConnection(socket, {
      onFrame: (frame) => this.take(decodeToDeliverer(frame)),
      onClose: () => this.finish('broken'),
    })
  }

  /** Undefined after the last chunk. */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const chunk = this.chunks.shift()
      if (chunk !== undefined) {
        this.buffered -= chunk.length
        if (this.buffered < bufferedBytesMax) this.connection.resume(this)
        return chunk
      }
      if (this.end === 'complete') return undefined
      if (this.end === 'broken') throw new ContentError('the queue could not give the whole content')
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  private take(message: ReturnType<typeof decodeToDeliverer>): void {
    if (message?.kind === 'content' && message.ref === this.ref && this.end === 'open') {
      this.chunks.push(Buffer.from(message.bytes))
      this.buffered += message.bytes.length
      if (this.buffered >= bufferedBytesMax) this.connection.pause(this)
      this.wake()
    } else if (message?.kind === 'contentEnd' && message.ref === this.ref) this.finish('complete')
    else this.finish('broken')
  }

  private finish(end: 'complete' | 'broken'): void {
    if (this.end === 'open') this.end = end
    this.wake()
  }
}
