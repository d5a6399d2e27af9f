/** All connections of the process: how many there may be, one clock tick for all of them, and the end of them. */
import type { Socket } from 'node:net'
import { formatReply, replies, type Reply } from '../../protocols/smtp/replies.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import { Connection, type ConnectionSetting } from './connection.ts'
import type { Limits } from './limits.ts'
import { isLoopback, type Peer, peerKey, plainIp } from './peer.ts'

/** Deadlines are kept to this precision: one timer for all connections instead of one for each. */
const tickMilliseconds = 1000

export class Connections {
  private readonly open = new Set<Connection>()
  private readonly perPeer = new Map<string, number>()
  private counted = 0
  private ticking = false
  private stopping: (() => void) | undefined
  private readonly limits: Limits
  private readonly clock: Clock
  private readonly log: Log
  private readonly settingFor: (peer: Peer) => ConnectionSetting

  constructor(limits: Limits, clock: Clock, log: Log, settingFor: (peer: Peer) => ConnectionSetting) {
    this.limits = limits
    this.clock = clock
    this.log = log
    this.settingFor = settingFor
  }

  accept(socket: Socket): void {
    const peer = peerOf(socket)
    // The peer left while it waited in the backlog.
    if (peer === undefined) return void socket.destroy()
    const counted = !isLoopback(peer.remoteIp)
    const key = counted ? peerKey(peer.remoteIp) : ''
    const refusal = counted ? this.refusal(key) : undefined
    if (refusal !== undefined) {
      this.log(`refused ${peer.remoteIp} connections: ${refusal.text}`)
      return turnAway(socket, refusal)
    }
    this.count(key, 1)
    const connection: Connection = new Connection(socket, this.settingFor(peer), () => {
      this.open.delete(connection)
      this.count(key, -1)
      if (this.open.size === 0) this.stopping?.()
    })
    this.open.add(connection)
    this.startTicking()
  }

  /** 421 to whoever is idle; resolves when all are gone, at the latest after `stopMillisecondsMax`. */
  async stop(): Promise<void> {
    if (this.open.size === 0) return
    const gone = new Promise<void>((resolve) => (this.stopping = resolve))
    for (const connection of this.open) connection.shutdown()
    const cancel = this.clock.after(this.limits.stopMillisecondsMax, () => {
      for (const connection of this.open) connection.destroy('stopped')
    })
    await gone
    cancel()
  }

  get size(): number {
    return this.open.size
  }

  private refusal(key: string): Reply | undefined {
    if (this.counted >= this.limits.connectionsMax) return replies.tooManyConnections
    return (this.perPeer.get(key) ?? 0) >= this.limits.connectionsPerPeerMax ? replies.tooManyFromYou : undefined
  }

  private count(key: string, by: 1 | -1): void {
    if (key === '') return
    this.counted += by
    const count = (this.perPeer.get(key) ?? 0) + by
    if (count > 0) this.perPeer.set(key, count)
    else this.perPeer.delete(key)
  }

  private startTicking(): void {
    if (this.ticking) return
    this.ticking = true
    this.clock.after(tickMilliseconds, () => {
      this.ticking = false
      for (const connection of this.open) connection.tick()
      if (this.open.size > 0) this.startTicking()
    })
  }
}

function peerOf(socket: Socket): Peer | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = socket
  if (remoteAddress === undefined) return undefined
  return {
    remoteIp: plainIp(remoteAddress),
    remotePort: remotePort ?? 0,
    localIp: plainIp(localAddress),
    localPort: localPort ?? 0,
  }
}

function turnAway(socket: Socket, reply: Reply): void {
  socket.on('error', () => socket.destroy())
  socket.end(formatReply(reply, false), 'latin1', () => socket.destroy())
}
