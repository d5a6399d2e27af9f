/** The client's half of the enqueue contract, over a connection that its caller owns (a `local`'s also carries deliveries).
 *  Knows:  refs, time limits. Whether a message goes whole or streamed is decided in queue-sink.ts.
 *  Fails:  returns temporary failures with qmail-queue's texts; a refusal by the queue is passed on as it came. */
import { closeSync } from 'node:fs'
import type { ByteString } from '../../base/byte-string.ts'
import { failed, done, type Failure, type Outcome, transient } from '../../base/outcome.ts'
import type { Envelope, Params } from '../../contracts/envelope.ts'
import { chunkBytesMax, decodeEnqueueReply, encodeEnqueueRequest } from '../../contracts/enqueue.ts'
import type { Frame } from '../../contracts/frame.ts'
import type { Clock } from '../../system/clock.ts'
import type { PassedDescriptor } from '../../system/descriptor-passing.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import { BodyWriter } from './body-writer.ts'
import type { ContentSink } from './enqueuer.ts'

/** A commit takes milliseconds; a queue that is being restarted answers within seconds. */
const answerMillisecondsMax = 120_000

type Settle = (outcome: Outcome<number>) => void
/** The next descriptor that came on the connection's other half. */
export type ReceiveDescriptor = () => PassedDescriptor | undefined

/** The answer to a message that has been begun. It may come early, if something is wrong. */
interface Answer {
  /** The message is complete: from now on the answer must come in time. */
  due(): Promise<Outcome<number>>
  /** The caller does not wait for it. */
  forget(): void
}

/** No caller sees it. */
const abandoned = transient('3.0', 'qq read error', 'abandoned before its end')

export class EnqueuePort {
  private readonly waiting = new Map<number, Settle>()
  /** Cancels the time limits of answers that are due. */
  private readonly limits = new Map<number, () => void>()
  /** Calls that asked for a file. */
  private readonly asking = new Map<number, (answer: 'file' | 'frames' | undefined) => void>()
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
    if (reply.kind === 'accepted') this.settle(reply.ref, done(reply.id))
    else if (reply.kind === 'refused') this.settle(reply.ref, failed(reply.failure))
    else this.placed(reply.ref, reply.kind)
    return true
  }

  /** Callers that wait get a temporary failure: the outcome is unknown. */
  connectionClosed(reason: string): void {
    const failure = transient('3.0', 'qq crashed', `lost the queue's connection ${reason}`.trimEnd())
    for (const ref of this.waiting.keys()) this.settle(ref, failed(failure))
  }

  /** For a body of at most `inlineBytesMax`. Resolves with the message id after the commit. */
  submit(envelope: Envelope, params: Params, head: ByteString, body: readonly Buffer[]): Promise<Outcome<number>> {
    const ref = this.nextRef()
    this.connection.send(encodeEnqueueRequest({ kind: 'submit', ref, envelope, params, head, body }))
    return this.answer(ref)
  }

  /** For a body of any size, written chunk by chunk. */
  open(envelope: Envelope, params: Params): ContentStream {
    const ref = this.nextRef()
    this.connection.send(encodeEnqueueRequest({ kind: 'open', ref, envelope, params }))
    return new ContentStream(this.connection, ref, this.answerTo(ref))
  }

  /** The same, with the body written into a file, if the queue gives one. */
  async openFile(envelope: Envelope, params: Params, receive: ReceiveDescriptor): Promise<ContentSink> {
    const ref = this.nextRef()
    this.connection.send(encodeEnqueueRequest({ kind: 'open', ref, envelope, params, asFile: true }))
    const end = this.answerTo(ref)
    const given = await this.place(ref)
    if (given !== 'file') return new ContentStream(this.connection, ref, end)
    const passed = receive()
    if (passed?.tag === ref) return new FileStream(this.connection, ref, passed.fd, end)
    if (passed !== undefined) closeSync(passed.fd)
    this.connection.destroy('a descriptor did not come')
    return new ContentStream(this.connection, ref, end)
  }

  /** Would mail from that sender be taken for that recipient? */
  checkAddresses(sender: ByteString, recipient: ByteString): Promise<Outcome<number>> {
    const ref = this.nextRef()
    this.connection.send(encodeEnqueueRequest({ kind: 'check', ref, sender, recipient }))
    return this.answer(ref)
  }

  private nextRef(): number {
    this.lastRef = (this.lastRef + 1) % 0x1_0000_0000
    return this.lastRef
  }

  /** The queue's answer to what is complete now. */
  private answer(ref: number): Promise<Outcome<number>> {
    return this.answerTo(ref).due()
  }

  private answerTo(ref: number): Answer {
    const { promise, resolve } = Promise.withResolvers<Outcome<number>>()
    if (this.connection.closed) resolve(failed(transient('3.0', 'qq crashed', 'the queue closed the connection')))
    else this.waiting.set(ref, resolve)
    const due = (): Promise<Outcome<number>> => {
      if (this.waiting.has(ref)) this.limits.set(ref, this.limit(ref))
      return promise
    }
    return { due, forget: () => this.settle(ref, failed(abandoned)) }
  }

  private limit(ref: number): () => void {
    return this.clock.after(this.limitMilliseconds, () => this.settle(ref, failed(this.timeout())))
  }

  /** Where the body goes; undefined: something is wrong, and the answer says so. */
  private async place(ref: number): Promise<'file' | 'frames' | undefined> {
    const { promise, resolve } = Promise.withResolvers<'file' | 'frames' | undefined>()
    if (!this.waiting.has(ref)) return undefined
    this.asking.set(ref, resolve)
    const cancel = this.limit(ref)
    const given = await promise
    cancel()
    return given
  }

  private timeout(): Failure {
    return transient('3.0', 'qq timeout', `no answer from the queue in ${this.limitMilliseconds} ms`)
  }

  private settle(ref: number, outcome: Outcome<number>): void {
    const settle = this.waiting.get(ref)
    this.waiting.delete(ref)
    this.limits.get(ref)?.()
    this.limits.delete(ref)
    this.placed(ref, undefined)
    settle?.(outcome)
  }

  private placed(ref: number, place: 'file' | 'frames' | undefined): void {
    const resolve = this.asking.get(ref)
    this.asking.delete(ref)
    resolve?.(place)
  }
}

/** A body that is written into the queue's own file. */
class FileStream implements ContentSink {
  private readonly connection: FrameConnection
  private readonly ref: number
  private readonly file: BodyWriter
  private readonly answer: Answer

  constructor(connection: FrameConnection, ref: number, fd: number, answer: Answer) {
    this.connection = connection
    this.ref = ref
    this.file = new BodyWriter(fd)
    this.answer = answer
  }

  write(bytes: Buffer): Promise<void> {
    return this.file.write(bytes)
  }

  async close(head: ByteString, late: Params): Promise<Outcome<number>> {
    const trouble = await this.file.close()
    if (trouble === undefined) {
      const bodyBytes = this.file.bytes
      this.connection.send(encodeEnqueueRequest({ kind: 'close', ref: this.ref, bodyBytes, head, late }))
      return this.answer.due()
    }
    this.sayAbandoned()
    return failed(trouble)
  }

  abandon(): void {
    void this.file.close()
    this.sayAbandoned()
  }

  private sayAbandoned(): void {
    this.answer.forget()
    this.connection.send(encodeEnqueueRequest({ kind: 'abandon', ref: this.ref }))
  }
}

export class ContentStream implements ContentSink {
  private readonly connection: FrameConnection
  private readonly ref: number
  private readonly answer: Answer
  private written = 0
  private abandoned = false

  constructor(connection: FrameConnection, ref: number, answer: Answer) {
    this.connection = connection
    this.ref = ref
    this.answer = answer
  }

  /** Resolves when the next chunk may come. */
  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !this.abandoned; at += chunkBytesMax) {
      const chunk = bytes.subarray(at, at + chunkBytesMax)
      this.connection.send(encodeEnqueueRequest({ kind: 'chunk', ref: this.ref, bytes: chunk }))
      this.written += chunk.length
      await this.connection.pressure()
    }
  }

  /** The content is complete: resolves with the message id after the commit. */
  close(head: ByteString, late: Params): Promise<Outcome<number>> {
    this.connection.send(encodeEnqueueRequest({ kind: 'close', ref: this.ref, bodyBytes: this.written, head, late }))
    return this.answer.due()
  }

  /** The content will not be completed; the queue forgets it. */
  abandon(): void {
    this.abandoned = true
    this.answer.forget()
    this.connection.send(encodeEnqueueRequest({ kind: 'abandon', ref: this.ref }))
  }
}
