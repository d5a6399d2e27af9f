/** A connection from a listed proxy, until its header has been read. Bytes after the header are the client's.
 *  Fails:  without a good header in time it is closed without a word: the client is unknown. */
import type { Socket } from 'node:net'
import { type Announced, parseProxyHeader } from '../../protocols/proxy-protocol/header.ts'
import type { Clock } from '../../system/clock.ts'
import type { ListenerLimits } from './limits.ts'

export interface ProxyEvents {
  /** The socket is paused and has no listeners of ours any more. */
  announced(announced: Announced | undefined, early: Buffer): void
  /** Empty reason: the proxy left. */
  failed(reason: string): void
}

export class ProxyReception {
  private readonly socket: Socket
  private readonly events: ProxyEvents
  private readonly clock: Clock
  private readonly deadline: number
  private bytes: Buffer = Buffer.alloc(0)
  private ended = false

  constructor(socket: Socket, events: ProxyEvents, limits: ListenerLimits, clock: Clock) {
    this.socket = socket
    this.events = events
    this.clock = clock
    this.deadline = clock.monotonic() + limits.proxyHeaderMillisecondsMax
    socket.on('data', this.onData)
    socket.on('end', this.onGone)
    socket.on('error', this.onGone)
    socket.on('close', this.onGone)
  }

  /** To be called every second or so. */
  tick(): void {
    if (this.clock.monotonic() > this.deadline) this.destroy('proxy-timeout')
  }

  shutdown(): void {
    this.destroy('')
  }

  destroy(reason: string): void {
    if (this.ended) return
    this.ended = true
    this.socket.destroy()
    this.events.failed(reason)
  }

  private readonly onGone = (): void => this.destroy('')

  private readonly onData = (chunk: Buffer): void => {
    if (this.ended) return
    this.bytes = this.bytes.length === 0 ? chunk : Buffer.concat([this.bytes, chunk])
    const header = parseProxyHeader(this.bytes)
    if (header.kind === 'incomplete') return
    if (header.kind === 'bad') return this.destroy(`proxy-header ${header.reason}`)
    this.ended = true
    const { socket } = this
    socket.pause()
    socket.off('data', this.onData)
    socket.off('end', this.onGone)
    socket.off('error', this.onGone)
    socket.off('close', this.onGone)
    this.events.announced(header.announced, this.bytes.subarray(header.bytes))
  }
}
