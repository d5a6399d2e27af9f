/** A socket that carries frames. Writes of one turn leave in one call; a slow reader is noticed by `pressure`.
 *  Knows:  sockets, frames, corking. Never: what a frame means.
 *  Fails:  `onClose` is called once, with the reason; a frame that breaks the contract closes the connection, and so does
 *          a reader too slow for its limits. */
import { connect, createServer, type Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { describeError } from '../base/outcome.ts'
import { ContractError, type Frame, frameBytesMax, FrameReader } from '../contracts/frame.ts'

export interface FrameHandlers {
  onFrame(frame: Frame): void
  /** The reason is empty when the other side just closed. */
  onClose(reason: string): void
}

/** For a connection to a program that need not be friendly. */
export interface FrameLimits {
  readonly frameBytesMax: number
  /** Sent by us and not read by the other side; beyond this it may not ask. */
  readonly unreadBytesMax: number
  /** Asked when the bytes of an unfinished frame become more, told when they become fewer; false closes the connection. */
  mayHold?(changeBytes: number): boolean
}

const usualLimits: FrameLimits = { frameBytesMax, unreadBytesMax: Number.POSITIVE_INFINITY }

export class FrameConnection {
  private readonly stream: Duplex
  private readonly reader: FrameReader
  private readonly limits: FrameLimits
  private heldBytes = 0
  private handlers: FrameHandlers
  private readonly pausedBy = new Set<object>()
  private corked = false
  private ended = false

  constructor(stream: Duplex, handlers: FrameHandlers, limits: FrameLimits = usualLimits) {
    this.stream = stream
    this.reader = new FrameReader(limits.frameBytesMax)
    this.limits = limits
    this.handlers = handlers
    stream.on('data', this.onData)
    stream.on('error', (error: Error) => this.finish(describeError(error)))
    stream.on('close', () => this.finish(''))
    stream.on('end', this.onEnd)
  }

  /** From now on frames go to another handler: for a connection whose purpose is known only after its first frame. */
  handOver(handlers: FrameHandlers): void {
    this.handlers = handlers
  }

  /** The stream itself, paused, for a connection that carries no more frames. The other side must have been silent since
   *  its last one: bytes that came after it close the stream. `onClose` is not called any more. */
  release(): Duplex {
    const { stream } = this
    this.ended = true
    stream.off('data', this.onData)
    stream.off('end', this.onEnd)
    stream.pause()
    return stream
  }

  send(frame: Uint8Array): void {
    if (this.ended) return
    if (!this.corked) {
      this.corked = true
      this.stream.cork()
      setImmediate(() => {
        this.corked = false
        this.stream.uncork()
      })
    }
    this.stream.write(frame)
  }

  /** Resolves when what was sent so far has mostly left: await it between the chunks of a large content. */
  async pressure(): Promise<void> {
    if (this.ended || this.stream.writableLength < 256 * 1024) return
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        this.stream.off('drain', settle)
        this.stream.off('close', settle)
        resolve()
      }
      this.stream.on('drain', settle)
      this.stream.on('close', settle)
    })
  }

  /** Nothing more is read until each `by` that paused it has resumed it. */
  pause(by: object): void {
    this.pausedBy.add(by)
    this.stream.pause()
  }

  resume(by: object): void {
    if (this.pausedBy.delete(by) && this.pausedBy.size === 0) this.stream.resume()
  }

  /** Sends what is pending, then closes. */
  end(): void {
    this.stream.end()
  }

  /** Closes at once; what is pending is dropped. */
  destroy(reason: string): void {
    this.finish(reason)
  }

  get closed(): boolean {
    return this.ended
  }

  private readonly onData = (chunk: Buffer): void => this.receive(chunk)

  private readonly onEnd = (): void => void this.stream.end()

  private receive(chunk: Buffer): void {
    try {
      this.reader.push(chunk, (frame) => this.take(frame))
      this.hold(this.reader.partBytes)
      if (this.ended && this.reader.hasPart) this.stream.destroy()
    } catch (error) {
      this.finish(describeError(error))
    }
  }

  private take(frame: Frame): void {
    if (this.ended) return
    const unread = this.stream.writableLength
    if (unread > this.limits.unreadBytesMax) throw new ContractError(`asks on and leaves ${unread} bytes unread`)
    this.handlers.onFrame(frame)
  }

  private hold(bytes: number): void {
    if (this.ended) return
    const change = bytes - this.heldBytes
    if (change === 0 || this.limits.mayHold === undefined) return
    if (!this.limits.mayHold(change)) throw new ContractError('too many bytes of unfinished frames')
    this.heldBytes = bytes
  }

  private finish(reason: string): void {
    if (this.ended) return
    this.hold(0)
    this.ended = true
    this.stream.destroy()
    this.handlers.onClose(reason)
  }
}

/** Serves a listening descriptor that `start` bound; an accepted connection is handed on untouched. */
export function serveDescriptor(fd: number, onConnection: (socket: Socket) => void): Server {
  const server = createServer({ noDelay: true }, onConnection)
  server.listen({ fd, backlog: 4096 })
  return server
}

/** Connects to a Unix socket. The kernel completes this while the serving program is dead, as long as `start` holds
 *  the listening descriptor: only an answer tells that the program serves. */
export function connectPath(path: string): Promise<Socket> {
  return connected(connect({ path }))
}

/** The same, for a socket that carries descriptors: the runtime does not read from it, and so cannot lose any. */
export function connectUnread(path: string): Promise<Socket> {
  // Before the socket is connected, when reading would begin.
  return connected(connect({ path }).pause())
}

/** A connected socket that was inherited as a descriptor. */
export function adoptDescriptor(fd: number): Socket {
  return new Socket({ fd, readable: true, writable: true })
}

async function connected(socket: Socket): Promise<Socket> {
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return socket
}
