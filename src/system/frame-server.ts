/** Serves a socket of ours for one purpose: each connection says hello, and then goes to its handlers.
 *  Knows:  the limits on connections, frames and answers that are not read, the hello and its deadline. Never: what a
 *          frame means.
 *  Fails:  a connection that breaks the contract is closed, with one line in the log. */
import type { Server, Socket } from 'node:net'
import { describeError } from '../base/outcome.ts'
import { ContractError, type Frame } from '../contracts/frame.ts'
import { decodeHello, type Purpose } from '../contracts/hello.ts'
import type { Clock } from './clock.ts'
import { FrameConnection, type FrameHandlers, serveDescriptor } from './frame-connection.ts'
import type { Log } from './log.ts'

const helloMillisecondsMax = 10_000
const connectionsMaxUsual = 64
/** Questions and answers are short. */
const frameBytesMaxUsual: number = 64 * 1024
const unreadFramesMax = 16

export interface FrameServerSetting {
  /** Named in the log. */
  readonly socket: string
  readonly purpose: Purpose
  readonly clock: Clock
  readonly log: Log
  readonly connectionsMax?: number
  /** Of the longest question; sixteen answers of that length may wait to be read. */
  readonly frameBytesMax?: number
  accept(connection: FrameConnection): FrameHandlers
}

export class FrameServer {
  private readonly setting: FrameServerSetting
  private readonly server: Server
  private readonly connections = new Set<FrameConnection>()

  /** `from`: a listening descriptor, or a function that serves a socket bound by this process itself. */
  constructor(from: number | ((onConnection: (socket: Socket) => void) => Server), setting: FrameServerSetting) {
    this.setting = setting
    const receive = (socket: Socket): void => this.receive(socket)
    this.server = typeof from === 'number' ? serveDescriptor(from, receive) : from(receive)
    this.server.maxConnections = setting.connectionsMax ?? connectionsMaxUsual
    // Out of descriptors: the next one may fit again.
    this.server.on('error', (error) => setting.log(`warning: accept on ${setting.socket}: ${describeError(error)}`))
  }

  /** Resolves when the descriptor is served. */
  async listening(): Promise<void> {
    if (!this.server.listening) await new Promise<void>((resolve) => this.server.once('listening', resolve))
  }

  /** Accepts no more; open connections end when what was sent has left. */
  close(): void {
    this.server.close()
    for (const connection of this.connections) connection.end()
  }

  private receive(socket: Socket): void {
    const { purpose, clock } = this.setting
    const cancel = clock.after(helloMillisecondsMax, () => connection.destroy('no hello'))
    const onFirst = (first: Frame): void => {
      cancel()
      const hello = decodeHello(first)
      if (hello.purpose !== purpose) throw new ContractError(`a connection for ${hello.purpose}`)
      const { onFrame, onClose } = this.setting.accept(connection)
      connection.handOver({
        onFrame,
        onClose: (reason) => {
          this.closed(connection, reason)
          onClose(reason)
        },
      })
    }
    const onEarlyClose = (reason: string): void => {
      cancel()
      this.closed(connection, reason)
    }
    const handlers = { onFrame: onFirst, onClose: onEarlyClose }
    const frameBytesMax = this.setting.frameBytesMax ?? frameBytesMaxUsual
    const limits = { frameBytesMax, unreadBytesMax: unreadFramesMax * frameBytesMax }
    const connection: FrameConnection = new FrameConnection(socket, handlers, limits)
    this.connections.add(connection)
  }

  private closed(connection: FrameConnection, reason: string): void {
    this.connections.delete(connection)
    if (reason !== '') this.setting.log(`warning: connection on ${this.setting.socket} closed: ${reason}`)
  }
}
