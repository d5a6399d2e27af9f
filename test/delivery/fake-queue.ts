/** A queue that speaks the contracts and keeps nothing: for tests of lspawn and local. It serves HOME/run/queue-lspawn,
 *  asks lspawn for a resolution, sends the attempt to that uid's local, and takes what is forwarded. */
import { createServer, type Server, type Socket } from 'node:net'
import type { Status } from '../../src/base/outcome.ts'
import { decodeFromDeliverer, encodeToDeliverer, type FromDeliverer } from '../../src/contracts/deliver.ts'
import { type Report, reportOf } from '../kit/status.ts'
import { decodeEnqueueRequest, encodeEnqueueReply, type EnqueueRequest } from '../../src/contracts/enqueue.ts'
import { noParams } from '../../src/contracts/envelope.ts'
import type { Frame } from '../../src/contracts/frame.ts'
import { decodeHello } from '../../src/contracts/hello.ts'
import { FrameConnection } from '../../src/system/frame-connection.ts'

const contentChunkBytes = 60_000
const answerMillisecondsMax = 20_000

interface LocalPeer {
  readonly connection: FrameConnection
  ready: boolean
}

export interface Taken {
  readonly sender: string
  readonly recipients: readonly string[]
  content: string
}

export class FakeQueue {
  readonly taken: Taken[] = []
  /** How many `local` connections there have been, by uid. */
  readonly localsSeen = new Map<number, number>()
  /** The key of every resolution, in order. */
  readonly keys: number[] = []
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  private lspawn: FrameConnection | undefined
  private readonly locals = new Map<number, LocalPeer>()
  private readonly resolves = new Map<number, (message: FromDeliverer) => void>()
  private readonly attempts = new Map<number, { settle: (report: Report) => void; content: Buffer }>()
  private readonly changes: (() => void)[] = []
  private lastRef = 0
  private lastId = 100

  constructor(path: string) {
    this.server = createServer((socket) => this.accept(socket))
    this.server.listen(path)
  }

  get localCount(): number {
    return this.locals.size
  }

  /** Resolves with the report, as the real queue would get it. */
  async deliver(sender: string, recipient: string, content: string | Buffer, inline = true): Promise<Report> {
    const answer = await this.resolve(recipient)
    if (answer.kind === 'unresolved') return reportOf(answer.status)
    if (answer.kind !== 'resolved') throw new Error(`unexpected ${answer.kind}`)
    this.keys.push(answer.key)
    await this.until(() => this.locals.get(answer.uid)?.ready === true, `a local of uid ${answer.uid}`)
    return this.attempt(answer.uid, answer.key, sender, recipient, Buffer.from(content), inline)
  }

  async resolve(recipient: string): Promise<FromDeliverer> {
    await this.until(() => this.lspawn !== undefined, 'lspawn')
    const ref = ++this.lastRef
    return this.timed(`resolve ${recipient}`, (settle) => {
      this.resolves.set(ref, settle)
      this.lspawn?.send(encodeToDeliverer({ kind: 'resolve', ref, messageId: 0, recipient }))
    })
  }

  attempt(
    uid: number,
    key: number,
    sender: string,
    recipient: string,
    content: Buffer,
    inline: boolean,
  ): Promise<Report> {
    const ref = ++this.lastRef
    return this.timed(`report on ${recipient}`, (settle) => {
      this.attempts.set(ref, { settle, content })
      this.locals.get(uid)?.connection.send(
        encodeToDeliverer({
          kind: 'attempt',
          ref,
          messageId: ref,
          key,
          sender,
          recipients: [recipient],
          params: noParams,
          contentBytes: content.length,
          content: inline ? content : undefined,
          token: inline ? '' : '0123456789abcdef',
        }),
      )
    })
  }

  /** Closes every connection, as a queue that dies does; the socket goes on listening. */
  dropConnections(): void {
    this.lspawn = undefined
    this.locals.clear()
    for (const socket of this.sockets) socket.destroy()
  }

  close(): void {
    this.server.close()
    this.dropConnections()
  }

  private accept(socket: Socket): void {
    this.sockets.add(socket)
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (frame) => this.hello(connection, frame),
      onClose: () => this.sockets.delete(socket),
    })
  }

  private hello(connection: FrameConnection, frame: Frame): void {
    const { purpose, uid } = decodeHello(frame)
    if (purpose === 'lspawn') this.serveLspawn(connection)
    else if (purpose === 'local') this.serveLocal(connection, uid)
    else throw new Error(`purpose ${purpose}`)
    this.changed()
  }

  private serveLspawn(connection: FrameConnection): void {
    connection.handOver({
      onFrame: (frame) => {
        const message = decodeFromDeliverer(frame)
        if (message?.kind === 'ready') this.lspawn = connection
        else if (message?.kind === 'resolved' || message?.kind === 'unresolved')
          this.resolves.get(message.ref)?.(message)
        else throw new Error(`unexpected ${message?.kind} from lspawn`)
        this.changed()
      },
      onClose: () => undefined,
    })
  }

  private serveLocal(connection: FrameConnection, uid: number): void {
    const peer = { connection, ready: false }
    this.locals.set(uid, peer)
    this.localsSeen.set(uid, (this.localsSeen.get(uid) ?? 0) + 1)
    connection.handOver({
      onFrame: (frame) => this.onLocalFrame(uid, peer, frame),
      onClose: () => {
        if (this.locals.get(uid) === peer) this.locals.delete(uid)
        this.changed()
      },
    })
  }

  private onLocalFrame(uid: number, peer: LocalPeer, frame: Frame): void {
    const request = decodeEnqueueRequest(frame)
    if (request !== undefined) return this.onEnqueue(peer.connection, request)
    const message = decodeFromDeliverer(frame)
    if (message?.kind === 'ready') peer.ready = true
    else if (message?.kind === 'fetch') this.sendContent(peer.connection, message.ref)
    else if (message?.kind === 'report') this.attempts.get(message.ref)?.settle(reportOf(message.statuses[0] as Status))
    else if (message?.kind === 'retire') {
      this.locals.delete(uid)
      peer.connection.send(encodeToDeliverer({ kind: 'retired' }))
    } else throw new Error(`unexpected ${message?.kind} from local`)
    this.changed()
  }

  private sendContent(connection: FrameConnection, ref: number): void {
    const content = this.attempts.get(ref)?.content ?? Buffer.alloc(0)
    for (let at = 0; at < content.length; at += contentChunkBytes) {
      const bytes = content.subarray(at, at + contentChunkBytes)
      connection.send(encodeToDeliverer({ kind: 'content', ref, bytes }))
    }
    connection.send(encodeToDeliverer({ kind: 'contentEnd', ref }))
  }

  private readonly streams = new Map<number, Taken>()

  private onEnqueue(connection: FrameConnection, request: EnqueueRequest): void {
    const { ref } = request
    switch (request.kind) {
      case 'submit':
        this.taken.push({ ...request.envelope, content: request.head + Buffer.concat(request.body).toString('latin1') })
        connection.send(encodeEnqueueReply({ kind: 'accepted', ref, id: ++this.lastId }))
        break
      case 'open':
        this.streams.set(ref, { ...request.envelope, content: '' })
        break
      case 'chunk': {
        const stream = this.streams.get(ref)
        if (stream !== undefined) stream.content += request.bytes.toString('latin1')
        break
      }
      case 'close':
        {
          const stream = this.streams.get(ref) as Taken
          this.taken.push({ ...stream, content: request.head + stream.content })
        }
        connection.send(encodeEnqueueReply({ kind: 'accepted', ref, id: ++this.lastId }))
        break
      case 'abandon':
        this.streams.delete(ref)
        break
      case 'check':
        connection.send(encodeEnqueueReply({ kind: 'accepted', ref, id: 0 }))
        break
    }
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    if (condition()) return
    await this.timed<undefined>(what, (settle) => {
      const look = (): void => {
        if (condition()) settle(undefined)
        else this.changes.push(look)
      }
      look()
    })
  }

  private changed(): void {
    for (const look of this.changes.splice(0)) look()
  }

  private timed<T>(what: string, begin: (settle: (value: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`waited too long for ${what}`)), answerMillisecondsMax)
      begin((value) => {
        clearTimeout(timer)
        resolve(value)
      })
    })
  }
}
