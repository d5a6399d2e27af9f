/** Asks the queue to take a message: the client's half of the enqueue contract.
 *  Knows:  refs, the split between small and streamed messages, time limits.
 *  Never:  retries by itself: whether a message was committed before a connection died is unknown, so the peer decides.
 *  Fails:  returns temporary failures with qmail-queue's texts; a refusal by the queue is passed on as it came. */
import type { Socket } from 'node:net'
import { describeError, failed, done, type Failure, type Outcome, transient } from '../../base/outcome.ts'
import type { Envelope, Params } from '../../contracts/envelope.ts'
import { chunkBytesMax, decodeEnqueueReply, encodeEnqueueRequest, inlineBytesMax } from '../../contracts/enqueue.ts'
import type { Frame } from '../../contracts/frame.ts'
import { encodeHello } from '../../contracts/hello.ts'
import type { Clock } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'
import type { ContentSink, Taker } from './taker.ts'

/** A commit takes milliseconds; a queue that is being restarted answers within seconds. */
const answerMillisecondsMax = 120_000

type Settle = (outcome: Outcome<number>) => void

/** The enqueue contract over a connection that somebody else owns (a `local`'s, which also carries deliveries). */
export class EnqueuePort {
  private readonly waiting = new Map<number, Settle>()
  private lastRef = 0
  private readonly connection: FrameConnection
  private readonly clock: Clock
  private readonly limitMilliseconds: number

  constructor(connection: FrameConnection, clock: Clock, limitMilliseconds: number = answerMillisecondsMax) {
    this.connection = connection
    this.clock = clock
    this.limitMilliseconds = limitMilliseconds
  }

  /** True if the frame was a reply of this contract. */
  handle(frame: Frame): boolean {
    const reply = decodeEnqueueReply(frame)
    if (reply === undefined) return false
    this.settle(reply.ref, reply.kind === 'accepted' ? done(reply.id) : failed(reply.failure))
    return true
  }

  /** Whoever waits is told that nobody knows. */
  connectionClosed(reason: string): void {
    const failure = transient('3.0', 'qq crashed', `lost the queue's connection ${reason}`.trimEnd())
    for (const ref of this.waiting.keys()) this.settle(ref, failed(failure))
  }

  /** For content of at most `inlineBytesMax`. Resolves with the message id after the commit. */
  submit(envelope: Envelope, params: Params, content: Buffer): Promise<Outcome<number>> {
    const ref = this.nextRef()
    this.connection.send(encodeEnqueueRequest({ kind: 'submit', ref, envelope, params, content }))
    return this.answer(ref)
  }

  /** For content of any size, written chunk by chunk. `onEnd` is called when the stream is answered or abandoned. */
  open(envelope: Envelope, params: Params, onEnd: () => void = () => undefined): ContentStream {
    const ref = this.nextRef()
    this.connection.send(encodeEnqueueRequest({ kind: 'open', ref, envelope, params }))
    return new ContentStream(this.connection, ref, this.answer(ref), onEnd)
  }

  private nextRef(): number {
    this.lastRef = (this.lastRef + 1) % 0x1_0000_0000
    return this.lastRef
  }

  private answer(ref: number): Promise<Outcome<number>> {
    return new Promise((resolve) => {
      if (this.connection.closed) {
        resolve(failed(transient('3.0', 'qq crashed', 'the queue closed the connection')))
        return
      }
      const cancel = this.clock.after(this.limitMilliseconds, () => this.settle(ref, failed(this.timeout())))
      this.waiting.set(ref, (outcome) => {
        cancel()
        resolve(outcome)
      })
    })
  }

  private timeout(): Failure {
    return transient('3.0', 'qq timeout', `no answer from the queue in ${this.limitMilliseconds} ms`)
  }

  private settle(ref: number, outcome: Outcome<number>): void {
    const settle = this.waiting.get(ref)
    this.waiting.delete(ref)
    settle?.(outcome)
  }
}

export class ContentStream implements ContentSink {
  private readonly connection: FrameConnection
  private readonly ref: number
  private readonly answer: Promise<Outcome<number>>
  private readonly onEnd: () => void
  private written = 0

  constructor(connection: FrameConnection, ref: number, answer: Promise<Outcome<number>>, onEnd: () => void) {
    this.connection = connection
    this.ref = ref
    this.answer = answer
    this.onEnd = onEnd
  }

  /** Resolves when the next chunk may come. */
  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += chunkBytesMax) {
      const chunk = bytes.subarray(at, at + chunkBytesMax)
      this.connection.send(encodeEnqueueRequest({ kind: 'chunk', ref: this.ref, bytes: chunk }))
      this.written += chunk.length
      await this.connection.pressure()
    }
  }

  /** The content is complete: resolves with the message id after the commit. */
  async close(): Promise<Outcome<number>> {
    this.connection.send(encodeEnqueueRequest({ kind: 'close', ref: this.ref, contentBytes: this.written }))
    const outcome = await this.answer
    this.onEnd()
    return outcome
  }

  /** The content will not be completed; the queue forgets it. */
  abandon(): void {
    this.connection.send(encodeEnqueueRequest({ kind: 'abandon', ref: this.ref }))
    this.onEnd()
  }
}

/** A program's own way to the queue: one shared connection for small messages, made again when it was lost, and a
 *  connection for each streamed one. */
export class EnqueueClient implements Taker {
  private readonly connectSocket: () => Promise<Socket>
  private readonly clock: Clock
  private shared: Promise<{ port: EnqueuePort; connection: FrameConnection }> | undefined

  constructor(connectSocket: () => Promise<Socket>, clock: Clock) {
    this.connectSocket = connectSocket
    this.clock = clock
  }

  async submit(envelope: Envelope, params: Params, content: Buffer): Promise<Outcome<number>> {
    if (content.length > inlineBytesMax) {
      const stream = await this.open(envelope, params)
      if (!stream.done) return stream
      await stream.value.write(content)
      return stream.value.close()
    }
    try {
      this.shared ??= this.connect(() => {
        this.shared = undefined
      })
      const { port } = await this.shared
      return await port.submit(envelope, params, content)
    } catch (error) {
      this.shared = undefined
      return failed(unreachable(error))
    }
  }

  /** The stream's connection is closed when its answer is in, or when it is abandoned. */
  async open(envelope: Envelope, params: Params): Promise<Outcome<ContentStream>> {
    try {
      const { port, connection } = await this.connect(() => undefined)
      return done(port.open(envelope, params, () => connection.end()))
    } catch (error) {
      return failed(unreachable(error))
    }
  }

  /** Closes the shared connection; a submit after that makes a new one. */
  close(): void {
    void this.shared?.then(
      ({ connection }) => connection.end(),
      () => undefined,
    )
    this.shared = undefined
  }

  private async connect(onLost: () => void): Promise<{ port: EnqueuePort; connection: FrameConnection }> {
    const socket = await this.connectSocket()
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (frame) => port.handle(frame),
      onClose: (reason) => {
        onLost()
        port.connectionClosed(reason)
      },
    })
    const port = new EnqueuePort(connection, this.clock)
    connection.send(encodeHello({ purpose: 'enqueue', uid: 0 }))
    return { port, connection }
  }
}

function unreachable(error: unknown): Failure {
  return transient('3.0', 'unable to exec qq', `cannot reach the queue: ${describeError(error)}`)
}
