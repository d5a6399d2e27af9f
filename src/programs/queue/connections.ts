/** Gives each connection its purpose: what a connection may do follows from the socket on which it came, and its first
 *  frame must agree.
 *
 *    queue-network   enqueue, its descriptors, "from network"         queue-remote   remote, fetch
 *    queue-inject    enqueue, "by uid N" as the kernel says          queue-lspawn   lspawn, local and its descriptors (on behalf
 *                                                                                    of a uid)
 *    queue-admin     admin                           queue-read     admin, `list` only
 *    queue-own       admin, `list` only, of what that uid handed in */
import type { Server, Socket } from 'node:net'
import type { Status } from '../../base/outcome.ts'
import { decodeFromDeliverer, encodeToDeliverer } from '../../contracts/deliver.ts'
import { ContractError, type Frame, frameBytesMax } from '../../contracts/frame.ts'
import { decodeHello, type Hello, type Purpose } from '../../contracts/hello.ts'
import type { SocketName } from '../../stores/home/layout.ts'
import type { Clock } from '../../system/clock.ts'
import { FrameConnection, type FrameLimits, serveDescriptor } from '../../system/frame-connection.ts'
import { descriptorOf } from '../../system/descriptors.ts'
import { peerUid } from '../../system/libc.ts'
import type { Acceptance, Origin } from './acceptance.ts'
import type { Admin, Asker } from './admin.ts'
import type { ContentSource } from './content-source.ts'
import type { Deliverer } from './deliverer.ts'
import { DescriptorPairs, type Pair } from './descriptor-pairs.ts'
import type { DeliveryLog } from './delivery-log.ts'
import type { Dispatcher } from './dispatcher.ts'
import { HandInShares } from './hand-in-shares.ts'
import { IdleWatch } from './idle-watch.ts'
import { Intake, type IntakeLimits, noIntakeLimits, type UncommittedBytes } from './intake.ts'
import { attemptLookMilliseconds, handInUnreadBytesMax } from './limits.ts'
import type { Group } from './live-message.ts'
import type { LocalDeliveries } from './local-deliveries.ts'
import type { RemoteDeliveries } from './remote-deliveries.ts'

const purposesOf: Readonly<Partial<Record<SocketName, readonly Purpose[]>>> = {
  'queue-network': ['enqueue', 'descriptors'],
  'queue-inject': ['enqueue'],
  'queue-remote': ['remote', 'fetch'],
  'queue-lspawn': ['lspawn', 'local', 'descriptors'],
  'queue-admin': ['admin'],
  'queue-read': ['admin'],
  'queue-own': ['admin'],
}
/** Anybody on the machine may connect to these. */
const forAll: ReadonlySet<SocketName> = new Set(['queue-inject', 'queue-own'])
/** A connection that says nothing for so long is closed. */
const helloMillisecondsMax = 30_000
/** What anybody may do a thousand times a second must not fill the log. */
const handInToldMilliseconds = 1000
/** Connections at once per socket; a `local` has two. */
const connectionsMax = 2000

/** The uid that stands for "unknown" where the system does not tell. */
const unknownUid = 65534

export interface ConnectionPorts {
  readonly clock: Clock
  readonly log: DeliveryLog
  readonly acceptance: Acceptance
  readonly uncommitted: UncommittedBytes
  readonly dispatcher: Dispatcher
  readonly remotes: RemoteDeliveries
  readonly locals: LocalDeliveries
  readonly source: ContentSource
  readonly admin: Admin
  readonly aliasUid: number | undefined
  /** Who hands in what came over the network; undefined where it is who runs all of it. */
  readonly networkUid: number | undefined
  /** Bytes of a message that a user of this machine may hand in. */
  handInBytesMax(): number
  isStopping(): boolean
}

type FrameHandler = { onFrame(frame: Frame): void; onClose(reason: string): void }

export class Connections {
  private readonly ports: ConnectionPorts
  private readonly servers: Server[] = []
  private readonly deliverers = new Set<Deliverer>()
  private readonly handInShares = new HandInShares()
  private readonly pairs = new DescriptorPairs()
  /** Within a second after a line about local hand-ins: the last one since, and how many. */
  private handInUntold: { readonly text: string; readonly count: number } | undefined

  constructor(ports: ConnectionPorts) {
    this.ports = ports
    this.endStuckOnes()
  }

  /** An attempt that says nothing ends: what its deliverer holds is tried again by the next one, or deferred. */
  private endStuckOnes(): void {
    for (const deliverer of this.deliverers) if (deliverer.isStuck) deliverer.connection.destroy('it reports nothing')
    this.ports.clock.after(attemptLookMilliseconds, () => this.endStuckOnes())
  }

  serve(name: SocketName, fd: number): void {
    const server = serveDescriptor(fd, (socket) => this.accept(name, socket))
    server.maxConnections = connectionsMax
    this.servers.push(server)
  }

  /** No new connections; those that are there go on. */
  close(): void {
    for (const server of this.servers) server.close()
  }

  private accept(name: SocketName, socket: Socket): void {
    const uid = uidOf(socket)
    const isForAll = forAll.has(name)
    const by = isForAll ? ` by uid ${uid}` : ''
    if (isForAll && !this.handInShares.connections.take(uid, 1)) {
      this.warn(name, `uid ${uid} has too many connections on ${name}`)
      socket.destroy()
      return
    }
    const ended = (): void => {
      if (isForAll) this.handInShares.connections.take(uid, -1)
    }
    const cancel = this.ports.clock.after(helloMillisecondsMax, () => connection.destroy('no hello'))
    const connection: FrameConnection = new FrameConnection(
      socket,
      {
        onFrame: (frame) => {
          cancel()
          const hello = decodeHello(frame)
          if (purposesOf[name]?.includes(hello.purpose) !== true) {
            throw new ContractError(`${hello.purpose} on ${name}`)
          }
          const handler = this.handlerFor(name, hello, connection, socket, uid)
          connection.handOver({
            onFrame: (next) => handler.onFrame(next),
            onClose: (reason) => {
              if (reason !== '') this.warn(name, `connection on ${name} (${hello.purpose})${by} closed: ${reason}`)
              ended()
              handler.onClose(reason)
            },
          })
        },
        onClose: (reason) => {
          cancel()
          ended()
          if (reason !== '') this.warn(name, `connection on ${name}${by} closed: ${reason}`)
        },
      },
      isForAll ? this.handInFrames(uid) : undefined,
    )
  }

  private warn(name: SocketName, text: string): void {
    if (!forAll.has(name)) return this.ports.log.warning(text)
    if (this.handInUntold !== undefined) {
      this.handInUntold = { text, count: this.handInUntold.count + 1 }
      return
    }
    this.ports.log.warning(text)
    this.handInUntold = { text, count: 0 }
    this.ports.clock.after(handInToldMilliseconds, () => this.tellHandIn(name))
  }

  /** The second is over: the last of what was kept back is told, and how many there were. */
  private tellHandIn(name: SocketName): void {
    const { text, count } = this.handInUntold ?? { text: '', count: 0 }
    this.handInUntold = undefined
    if (count > 0) this.warn(name, count === 1 ? text : `${text}; ${count - 1} more of local hand-ins were not told`)
  }

  private handInFrames(uid: number): FrameLimits {
    const { unfinishedBytes } = this.handInShares
    return {
      frameBytesMax,
      unreadBytesMax: handInUnreadBytesMax,
      mayHold: (changeBytes) => unfinishedBytes.take(uid, changeBytes),
    }
  }

  private handlerFor(
    name: SocketName,
    { purpose, uid: onBehalfOf, pair }: Required<Hello>,
    connection: FrameConnection,
    socket: Socket,
    peer: number,
  ): FrameHandler {
    switch (purpose) {
      case 'enqueue': {
        if (name === 'queue-network')
          return this.enqueue(connection, { invoked: 'from network', uid: peer }, this.paired(name, pair))
        return this.handIn(connection, { invoked: this.invokedBy(peer), uid: peer })
      }
      case 'remote':
        return this.remote(connection)
      case 'fetch':
        return { onFrame: (frame) => this.fetch(connection, frame, this.ports.remotes), onClose: () => undefined }
      case 'lspawn':
        return this.lspawn(connection)
      case 'local':
        return this.local(connection, onBehalfOf, this.paired(name, pair))
      case 'descriptors':
        this.pairs.descriptors(`${name} ${pair}`, socket)
        return { onFrame: wordless, onClose: () => this.pairs.lost(`${name} ${pair}`, socket) }
      case 'admin':
        // What the process that reads the network has handed in is not its to read again.
        if (name === 'queue-own' && peer === this.ports.networkUid) throw new ContractError('nothing is shown to smtpd')
        return this.admin(connection, name === 'queue-own' ? peer : name === 'queue-read' ? 'reader' : 'administrator')
      case 'execute':
      case 'policy':
      case 'recipients':
      case 'auth':
      case 'tickets':
      case 'login':
      case 'session':
      case 'signing':
      case 'certificates':
        // Other programs' affair: no socket of ours lets these through.
        throw new ContractError(`${purpose} on ${name}`)
    }
  }

  private admin(connection: FrameConnection, asker: Asker): FrameHandler {
    // Who may see something must ask for it in time, or go.
    const cancel = this.ports.clock.after(helloMillisecondsMax, () => connection.destroy('no request'))
    return {
      onFrame: (frame) => {
        cancel()
        void this.ports.admin.handle(connection, frame, asker)
      },
      onClose: cancel,
    }
  }

  private paired(name: SocketName, pair: number): Pair {
    return this.pairs.frames(pair === 0 ? undefined : `${name} ${pair}`)
  }

  private enqueue(connection: FrameConnection, origin: Origin, pair: Pair): FrameHandler {
    const intake = this.intakeFor(connection, origin, { ...noIntakeLimits, descriptors: () => pair.descriptors })
    return {
      onFrame: (frame) => {
        if (!intake.handle(frame)) throw new ContractError(`frame type ${frame.type} on an enqueue connection`)
      },
      onClose: () => {
        intake.connectionClosed()
        pair.end()
      },
    }
  }

  /** Anybody on the machine: nobody may hold what others need, by doing nothing or by doing much. */
  private handIn(connection: FrameConnection, origin: Origin): FrameHandler {
    const { streams } = this.handInShares
    const intake = this.intakeFor(connection, origin, {
      contentBytesMax: () => this.ports.handInBytesMax(),
      mayOpenStream: () => streams.take(origin.uid, 1),
      streamEnded: () => void streams.take(origin.uid, -1),
      descriptors: () => undefined,
    })
    const watch = new IdleWatch(
      this.ports.clock,
      () => intake.isBusy,
      () => connection.destroy('idle'),
    )
    return {
      onFrame: (frame) => {
        watch.heard()
        if (!intake.handle(frame)) throw new ContractError(`frame type ${frame.type} on an enqueue connection`)
      },
      onClose: () => {
        watch.end()
        intake.connectionClosed()
      },
    }
  }

  private remote(connection: FrameConnection): FrameHandler {
    const { remotes, dispatcher } = this.ports
    const deliverer = remotes.add(connection)
    this.deliverers.add(deliverer)
    return {
      onFrame: (frame) => {
        const message = decodeFromDeliverer(frame)
        if (message?.kind === 'ready') deliverer.ready(message.capacity)
        else if (message?.kind === 'report') this.report(deliverer, message.ref, message.statuses)
        else if (message?.kind === 'crowded') dispatcher.crowded(deliverer.taken(message.ref))
        else if (message?.kind === 'retire') {
          deliverer.retired = true
          connection.send(encodeToDeliverer({ kind: 'retired' }))
        } else throw new ContractError(`frame type ${frame.type} from remote`)
        dispatcher.pump()
      },
      onClose: () => {
        remotes.remove(deliverer)
        this.lost(deliverer)
      },
    }
  }

  private lspawn(connection: FrameConnection): FrameHandler {
    const { locals, dispatcher } = this.ports
    return {
      onFrame: (frame) => {
        const message = decodeFromDeliverer(frame)
        if (message?.kind === 'ready') locals.lspawnArrived(connection)
        else if (message?.kind === 'resolved') locals.resolved(message.ref, message.uid, message.key)
        else if (message?.kind === 'unresolved') locals.unresolved(message.ref, message.status)
        else throw new ContractError(`frame type ${frame.type} from lspawn`)
        dispatcher.pump()
      },
      onClose: () => locals.lspawnLost(connection),
    }
  }

  /** That user's process: deliveries, and its own mail. It may lie about anything but who it is. */
  private local(connection: FrameConnection, uid: number, pair: Pair): FrameHandler {
    const { locals } = this.ports
    const deliverer = locals.localArrived(uid, connection)
    this.deliverers.add(deliverer)
    const intake = this.intakeFor(connection, { invoked: this.invokedBy(uid), uid }, noIntakeLimits)
    return {
      onFrame: (frame) => {
        if (intake.handle(frame)) return
        const message = decodeFromDeliverer(frame)
        if (message?.kind === 'ready') locals.localReady(uid, deliverer, message.capacity)
        else if (message?.kind === 'report') this.report(deliverer, message.ref, message.statuses)
        else if (message?.kind === 'retire') locals.localRetires(uid, deliverer)
        else if (message?.kind === 'fetch') this.fetch(connection, frame, deliverer, pair)
        else throw new ContractError(`frame type ${frame.type} from a local`)
      },
      onClose: () => {
        intake.connectionClosed()
        locals.localLost(uid, deliverer)
        pair.end()
        this.lost(deliverer)
      },
    }
  }

  private report(deliverer: Deliverer, ref: number, statuses: readonly Status[]): void {
    this.ports.dispatcher.reported(deliverer.reported(ref, statuses), statuses)
  }

  private lost(deliverer: Deliverer): void {
    this.deliverers.delete(deliverer)
    const { begun, waiting } = deliverer.lost()
    for (const group of waiting) this.ports.dispatcher.lost(group, false)
    for (const group of begun) this.ports.dispatcher.lost(group, true)
    this.ports.dispatcher.pump()
  }

  private fetch(
    connection: FrameConnection,
    frame: Frame,
    holder: { groupWithToken(messageId: number, token: string): Group | undefined },
    pair?: Pair,
  ): void {
    const message = decodeFromDeliverer(frame)
    if (message?.kind !== 'fetch') throw new ContractError(`frame type ${frame.type}, a fetch was expected`)
    const { ref, messageId, token, asFile } = message
    const group = holder.groupWithToken(messageId, token)
    if (group === undefined) {
      connection.send(encodeToDeliverer({ kind: 'contentFailed', ref }))
      return
    }
    const to = asFile === true && !group.isHanded ? pair?.descriptors : undefined
    if (to === undefined) return void this.ports.source.stream(connection, ref, messageId)
    // Once: descriptors that nobody takes are held by the system.
    group.isHanded = true
    void this.ports.source.hand(connection, to, ref, messageId)
  }

  private intakeFor(connection: FrameConnection, origin: Origin, limits: IntakeLimits): Intake {
    const { acceptance, uncommitted } = this.ports
    return new Intake(connection, origin, acceptance, uncommitted, () => this.ports.isStopping(), limits)
  }

  private invokedBy(uid: number): 'by alias' | `by uid ${number}` {
    return uid === this.ports.aliasUid ? 'by alias' : `by uid ${uid}`
  }
}

function uidOf(socket: Socket): number {
  const fd = descriptorOf(socket)
  return (fd === undefined ? undefined : peerUid(fd)) ?? unknownUid
}

function wordless(frame: Frame): never {
  throw new ContractError(`frame type ${frame.type} on a connection for descriptors`)
}
