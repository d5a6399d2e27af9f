/** All connections of the process: which peers may connect, how many there may be, one clock tick for all of them, and the end.
 *  Knows:  the order: limits, the proxy's header, the name, rules, the greeting. Never: what is said in a session. */
import type { Socket } from 'node:net'
import type { Counts } from '../../contracts/counts.ts'
import { printable, type Log } from '../../system/log.ts'
import { replies, type Reply } from '../../protocols/smtp/replies.ts'
import type { Clock } from '../../system/clock.ts'
import { ConnectionCounts, type Place } from './connection-counts.ts'
import { Connection } from './connection.ts'
import { ConnectionLog, waitStatus } from './connection-log.ts'
import { PendingConnection } from './pending-connection.ts'
import { DelayWheel } from './delay-wheel.ts'
import type { ConnectionSetting } from './dialogue.ts'
import type { Finding } from './finding.ts'
import type { ListenerLimits } from './limits.ts'
import { type Environment, type Peer, plainIp } from './peer.ts'
import { ProxyReception } from './proxy-reception.ts'

/** Deadlines are kept to this precision: one timer for all connections instead of one for each. */
const tickMilliseconds = 1000
const nothing = Buffer.alloc(0)

/** The rules do not let a peer in: `deny` closes without a word, `unknown` asks it to come again. */
export interface TurnedAway {
  readonly turnedAway: 'deny' | 'unknown'
  readonly environment: Environment
  readonly finding: Finding
}

export type Admitted = ConnectionSetting | TurnedAway

/** Which peers may come in, and how they are served. */
export interface Entrance {
  /** A connection from this address begins with a PROXY header. */
  isProxy(ip: string): boolean
  /** A promise where the peer's name is looked up first. */
  settingFor(peer: Peer): Admitted | Promise<Admitted>
  /** A refusal in the entrance's protocol, with its line end; empty where TLS comes first. */
  say(reply: Reply): string
}

interface Open {
  tick(): void
  shutdown(): void
  destroy(reason: string): void
}

interface Arrival {
  readonly socket: Socket
  readonly number: number
  readonly peer: Peer
}

export class Connections {
  private readonly open = new Set<Open>()
  private readonly places: ConnectionCounts
  private readonly delays: DelayWheel
  private readonly lines: ConnectionLog
  private numbered = 0
  private refused = 0
  private ticking = false
  private stopping: (() => void) | undefined
  private readonly limits: ListenerLimits
  private readonly clock: Clock
  private readonly log: Log
  private readonly entrance: Entrance

  constructor(
    limits: ListenerLimits,
    clock: Clock,
    log: Log,
    entrance: Entrance,
    places: ConnectionCounts = new ConnectionCounts(limits, clock),
  ) {
    this.limits = limits
    this.clock = clock
    this.log = log
    this.entrance = entrance
    this.places = places
    this.delays = new DelayWheel(clock)
    this.lines = new ConnectionLog(log, limits.connectionsMax)
  }

  accept(socket: Socket): void {
    const peer = peerOf(socket)
    // The peer left while it waited in the backlog.
    if (peer === undefined) return void socket.destroy()
    if (this.entrance.isProxy(peer.remoteIp)) return this.receiveProxy(socket, peer)
    const place = this.enter(socket, peer.remoteIp)
    if (place !== undefined) this.admit(this.arrived(socket, peer), place, nothing)
  }

  /** 421 to idle peers; resolves when all are gone, at the latest after `stopMillisecondsMax`. */
  async stop(): Promise<void> {
    if (this.open.size === 0) return
    const gone = new Promise<void>((resolve) => (this.stopping = resolve))
    for (const one of this.open) one.shutdown()
    const cancel = this.clock.after(this.limits.stopMillisecondsMax, () => {
      for (const one of this.open) one.destroy('stopped')
    })
    await gone
    cancel()
  }

  get size(): number {
    return this.open.size
  }

  get counts(): Counts {
    return { connections: this.numbered, 'connections-refused': this.refused, 'connections-open': this.open.size }
  }

  /** Undefined: refused, and told so. */
  private enter(socket: Socket, ip: string): Place | undefined {
    const place = this.places.enter(ip)
    if (!('refusal' in place)) return place
    this.refused++
    const { refusal, first } = place
    if (first) this.log(`refused ${ip} connections: ${refusal.code} ${refusal.text}`)
    this.turnAway(socket, refusal)
    return undefined
  }

  private arrived(socket: Socket, peer: Peer): Arrival {
    const number = ++this.numbered
    this.lines.begins(number, peer.remoteIp, this.open.size + 1)
    return { socket, number, peer }
  }

  private receiveProxy(socket: Socket, proxy: Peer): void {
    const place = this.places.enterUnannounced()
    if (place === undefined) return this.turnAway(socket, replies.tooManyConnections)
    const arrival = this.arrived(socket, proxy)
    const gone = (): void => {
      this.open.delete(reception)
      place.leave()
    }
    const reception: ProxyReception = new ProxyReception(
      socket,
      {
        announced: (announced, early) => {
          gone()
          this.admitAnnounced({ ...arrival, peer: announced ?? proxy }, early)
        },
        failed: (reason) => {
          if (reason !== '') this.log(`refused ${proxy.remoteIp} ${printable(reason).replaceAll('_', '-')}:`)
          gone()
          this.ended(arrival, waitStatus.trouble)
        },
      },
      this.limits,
      this.clock,
    )
    this.open.add(reception)
    this.startTicking()
  }

  private admitAnnounced(arrival: Arrival, early: Buffer): void {
    const place = this.enter(arrival.socket, arrival.peer.remoteIp)
    if (place === undefined) this.ended(arrival, waitStatus.trouble)
    else this.admit(arrival, place, early)
  }

  private admit(arrival: Arrival, place: Place, early: Buffer): void {
    const setting = this.entrance.settingFor(arrival.peer)
    if (setting instanceof Promise) this.consider(arrival, setting, place, early)
    else this.admitTo(arrival, setting, place, early)
  }

  private consider(arrival: Arrival, setting: Promise<Admitted>, place: Place, early: Buffer): void {
    const { socket, peer } = arrival
    const gone = (): void => {
      this.open.delete(pending)
      place.leave()
      this.ended(arrival, waitStatus.trouble)
    }
    const pending: PendingConnection<Admitted> = new PendingConnection(socket, setting, {
      decided: (found) => {
        this.open.delete(pending)
        this.admitTo(arrival, found, place, early)
      },
      stopped: () => {
        this.turnAway(socket, replies.shuttingDown)
        gone()
      },
      failed: (reason) => {
        if (reason !== '') this.log(`refused ${peer.remoteIp} ${printable(reason).replaceAll('_', '-')}:`)
        gone()
      },
    })
    place.holder = { isEngaged: false, giveUp: () => pending.destroy('place-given-up') }
    this.open.add(pending)
    this.startTicking()
  }

  private admitTo(arrival: Arrival, setting: Admitted, place: Place, early: Buffer): void {
    const { socket, number, peer } = arrival
    if ('turnedAway' in setting) {
      place.leave()
      return this.turnAwayByRules(arrival, setting)
    }
    this.lines.decided('ok', number, peer, setting.environment)
    const connection: Connection = new Connection(socket, setting, this.delays, () => {
      this.open.delete(connection)
      place.leave()
      this.ended(arrival, waitStatus.done)
    })
    place.holder = connection
    this.open.add(connection)
    this.startTicking()
    const mayTalk = setting.implicitTls || setting.clientFirst === true
    // The first bytes of a handshake, or of a client that speaks first, may have come in one piece with the proxy's header.
    if (mayTalk && early.length > 0) socket.unshift(early)
    connection.begin()
    if (!mayTalk && early.length > 0) connection.refuseEarlyTalker()
  }

  private turnAwayByRules(arrival: Arrival, { turnedAway, environment, finding }: TurnedAway): void {
    const { socket, number, peer } = arrival
    this.refused++
    if (turnedAway === 'deny') {
      this.lines.decided('deny', number, peer, environment)
      socket.destroy()
      this.ended(arrival, waitStatus.denied)
    } else {
      this.log(`refused ${peer.remoteIp} ${finding.check}: ${finding.text}`)
      this.turnAway(socket, replies.unreadableControls)
      this.ended(arrival, waitStatus.trouble)
    }
  }

  private turnAway(socket: Socket, reply: Reply): void {
    socket.on('error', () => socket.destroy())
    // What it says is not wanted, but unread bytes would make the close a reset that takes the reply with it.
    socket.resume()
    socket.end(this.entrance.say(reply), 'latin1', () => socket.destroy())
  }

  private ended({ number }: Arrival, status: number): void {
    this.lines.ended(number, status, this.open.size)
    if (this.open.size === 0) this.stopping?.()
  }

  private startTicking(): void {
    if (this.ticking) return
    this.ticking = true
    this.clock.after(tickMilliseconds, () => {
      this.ticking = false
      for (const one of this.open) one.tick()
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
