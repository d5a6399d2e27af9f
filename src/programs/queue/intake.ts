/** One connection's enqueue frames. Hostile input: everything is limited, and a connection that ends leaves nothing
 *  half done. Reading stops while too much waits to be written. */
import { decodeEnqueueRequest, encodeEnqueueReply, type EnqueueRequest } from '../../contracts/enqueue.ts'
import { type Params, relayedParam } from '../../contracts/envelope.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import { done, type Failure, failed, type Outcome, permanent, transient } from '../../base/outcome.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import { sendDescriptor } from '../../system/descriptor-passing.ts'
import type { Acceptance, Origin } from './acceptance.ts'
import { uncommittedBytesMax, unwrittenBytesMax } from './limits.ts'
import type { StreamedMessage } from './streamed-message.ts'

type StreamEnd = Extract<EnqueueRequest, { kind: 'close' }>

/** A connection with more streams open than this breaks the contract. */
const streamsMax = 64
const tooLarge = permanent('3.4', 'sorry, that message size exceeds my databytes limit')
const tooMany = transient('3.0', 'mail server temporarily rejected message', 'too many messages under way at once')

/** What a connection may hand in. */
export interface IntakeLimits {
  /** Of a message's content. */
  contentBytesMax(): number
  /** False if its owner has too many streams open. */
  mayOpenStream(): boolean
  streamEnded(): void
  /** Where descriptors for this connection go; undefined: bodies come in chunks. */
  descriptors(): number | undefined
}

export const noIntakeLimits: IntakeLimits = {
  contentBytesMax: () => Number.POSITIVE_INFINITY,
  mayOpenStream: () => true,
  streamEnded: () => undefined,
  descriptors: () => undefined,
}

/** What all connections together have in memory, waiting for a commit. */
export class UncommittedBytes {
  private bytes = 0
  private readonly paused = new Set<FrameConnection>()

  add(bytes: number, connection: FrameConnection): void {
    this.bytes += bytes
    if (this.bytes > uncommittedBytesMax) {
      connection.pause(this)
      this.paused.add(connection)
    }
  }

  remove(bytes: number): void {
    this.bytes -= bytes
    if (this.bytes > uncommittedBytesMax / 2 || this.paused.size === 0) return
    for (const connection of this.paused) connection.resume(this)
    this.paused.clear()
  }

  get isNone(): boolean {
    return this.bytes === 0
  }
}

/** That smtpd relays for somebody is the network side's to say: whoever hands mail in on the machine may say anything. */
function believed(params: Params, { invoked }: Origin): Params {
  if (invoked === 'from network' || !params.has(relayedParam)) return params
  return new Map([...params].filter(([name]) => name !== relayedParam))
}

export class Intake {
  private readonly connection: FrameConnection
  private readonly origin: Origin
  private readonly acceptance: Acceptance
  private readonly uncommitted: UncommittedBytes
  private readonly isStopping: () => boolean
  private readonly limits: IntakeLimits
  /** By ref; a failure for one whose rest is dropped. */
  private readonly streams = new Map<number, StreamedMessage | Failure>()
  /** Those that are written by who hands them in. */
  private readonly given = new WeakSet<StreamedMessage>()
  private unanswered = 0
  private unwritten = 0

  constructor(
    connection: FrameConnection,
    origin: Origin,
    acceptance: Acceptance,
    uncommitted: UncommittedBytes,
    isStopping: () => boolean,
    limits: IntakeLimits,
  ) {
    this.limits = limits
    this.connection = connection
    this.origin = origin
    this.acceptance = acceptance
    this.uncommitted = uncommitted
    this.isStopping = isStopping
  }

  /** True if the frame was of the enqueue contract. */
  handle(frame: Frame): boolean {
    const request = decodeEnqueueRequest(frame)
    if (request === undefined) return false
    switch (request.kind) {
      case 'submit':
        void this.submit(request)
        break
      case 'open':
        if (this.streams.size >= streamsMax || this.streams.has(request.ref))
          throw new ContractError('too many streams')
        this.open(request)
        break
      case 'chunk':
        this.write(request.ref, request.bytes)
        break
      case 'close':
        void this.close(request.ref, this.take(request.ref), request)
        break
      case 'abandon':
        this.abandon(this.take(request.ref))
        break
      case 'check':
        this.checkAddresses(request)
        break
    }
    return true
  }

  /** It is our turn: an answer is owed, or bytes are being written. */
  get isBusy(): boolean {
    return this.unanswered > 0 || this.unwritten > 0
  }

  connectionClosed(): void {
    for (const stream of this.streams.values()) this.abandon(stream)
    this.streams.clear()
  }

  private open({ ref, envelope, params, asFile }: Extract<EnqueueRequest, { kind: 'open' }>): void {
    const stream = this.limits.mayOpenStream()
      ? this.acceptance.open(envelope, believed(params, this.origin), this.origin)
      : tooMany
    this.streams.set(ref, stream)
    if (asFile === true) void this.giveFile(ref, stream)
  }

  private async giveFile(ref: number, stream: StreamedMessage | Failure): Promise<void> {
    const to = this.limits.descriptors()
    const send = (fd: number): boolean => to !== undefined && !this.connection.closed && sendDescriptor(to, fd, ref)
    const isGiven = 'abandon' in stream && to !== undefined && (await stream.giveFile(send))
    if (isGiven) this.given.add(stream)
    this.connection.send(encodeEnqueueReply({ kind: isGiven ? 'file' : 'frames', ref }))
  }

  private abandon(stream: StreamedMessage | Failure): void {
    if (!('abandon' in stream)) return
    this.limits.streamEnded()
    stream.abandon()
  }

  private checkAddresses({ ref, sender, recipient }: Extract<EnqueueRequest, { kind: 'check' }>): void {
    const failure = this.acceptance.checkAddresses(sender, recipient)
    this.reply(ref, failure === undefined ? done(0) : failed(failure))
  }

  private async submit(request: Extract<EnqueueRequest, { kind: 'submit' }>): Promise<void> {
    if (this.isStopping()) {
      this.reply(request.ref, failed(transient('3.0', 'mail server temporarily rejected message', 'stopping')))
      return
    }
    const length = request.body.reduce((sum, piece) => sum + piece.length, request.head.length)
    if (length > this.limits.contentBytesMax()) {
      this.reply(request.ref, failed(tooLarge))
      return
    }
    this.unanswered++
    this.uncommitted.add(length, this.connection)
    // The frame's bytes are a view into what was received: `accept` copies them before it waits for anybody.
    const params = believed(request.params, this.origin)
    const outcome = await this.acceptance.accept(request.envelope, params, request, this.origin)
    this.uncommitted.remove(length)
    this.unanswered--
    this.reply(request.ref, outcome)
  }

  private write(ref: number, bytes: Buffer): void {
    const stream = this.stream(ref)
    if (!('abandon' in stream)) return
    if (this.given.has(stream)) throw new ContractError('a chunk of what is written elsewhere')
    if (stream.bodyBytes + bytes.length > this.limits.contentBytesMax()) {
      this.abandon(stream)
      this.streams.set(ref, tooLarge)
      return
    }
    const before = this.unwritten
    this.unwritten += bytes.length
    if (before <= unwrittenBytesMax && this.unwritten > unwrittenBytesMax) this.connection.pause(this)
    void stream.write(bytes).then(() => {
      const was = this.unwritten
      this.unwritten -= bytes.length
      if (was > unwrittenBytesMax && this.unwritten <= unwrittenBytesMax) this.connection.resume(this)
    })
  }

  private async close(ref: number, stream: StreamedMessage | Failure, end: StreamEnd): Promise<void> {
    if (!('abandon' in stream)) {
      this.reply(ref, failed(stream))
      return
    }
    this.unanswered++
    const outcome = await this.committed(stream, end)
    this.limits.streamEnded()
    this.unanswered--
    this.reply(ref, outcome)
  }

  private async committed(stream: StreamedMessage, { bodyBytes, head, late }: StreamEnd): Promise<Outcome<number>> {
    if (this.given.has(stream)) stream.writtenElsewhere(bodyBytes)
    if (stream.bodyBytes !== bodyBytes || this.isStopping()) {
      stream.abandon()
      return failed(transient('3.0', 'qq read error', 'content incomplete, or stopping'))
    }
    if (bodyBytes + head.length > this.limits.contentBytesMax()) {
      stream.abandon()
      return failed(tooLarge)
    }
    return await stream.close(head, believed(late, this.origin))
  }

  private reply(ref: number, outcome: Outcome<number>): void {
    this.connection.send(
      encodeEnqueueReply(
        outcome.done
          ? { kind: 'accepted', ref, id: outcome.value }
          : { kind: 'refused', ref, failure: outcome.failure },
      ),
    )
  }

  private stream(ref: number): StreamedMessage | Failure {
    const stream = this.streams.get(ref)
    if (stream === undefined) throw new ContractError(`chunk for unknown stream ${ref}`)
    return stream
  }

  private take(ref: number): StreamedMessage | Failure {
    const stream = this.stream(ref)
    this.streams.delete(ref)
    return stream
  }
}
