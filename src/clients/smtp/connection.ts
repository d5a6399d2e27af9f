/** One connection to a remote SMTP server: commands out, replies in, in order, each within its time.
 *  Knows:  sockets, TLS, how many replies are owed, the total deadline. A refusal that comes unasked is taken as the answer
 *          to the next command: its server is about to hang up.
 *  Never:  what a reply means.
 *  Fails:  never throws. Once it is lost `reply` gives what had come before, `drained` says so at once, and `lostBecause`
 *          says why: `timeout`, or `protocol` for a success that was not asked for, or what is no reply. */
import { connect as connectTcp, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { type Reply, ReplyParser } from '../../protocols/smtp/reply-parser.ts'
import { describeTlsError } from '../../system/certificate-faults.ts'
import { errorCode } from '../../system/files.ts'
import type { Deadlines } from './deadlines.ts'
import type { Target } from './mail-exchangers.ts'

/** `lostBecause` when the server closed the connection. */
export const hungUp = 'closed by the other side'
/** More than this not yet sent: the writer waits. */
const pressureBytesMax: number = 256 * 1024

const quitMillisecondsMax = 5_000
/** From here on a code refuses. */
const refusal = 400

/** An attempt's time: what one reply may take is cut to what is left of the whole. */
export interface TimeLimits {
  /** control/timeoutremote. */
  readonly replyMillisecondsMax: number
  /** Monotonic milliseconds. */
  readonly totalDeadline: number
}

/** `code`: Node's; empty where there is none. */
export interface TlsTrouble {
  readonly why: string
  readonly code: string
}

export type Connected =
  | { readonly kind: 'connected'; readonly connection: SmtpConnection }
  | { readonly kind: 'failed'; readonly timedOut: boolean; readonly why: string }

export function connectTo(target: Target, milliseconds: number, deadlines: Deadlines): Promise<Connected> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host: target.address, port: target.port, noDelay: true })
    const fail = (timedOut: boolean, why: string): void => {
      cancel()
      socket.destroy()
      resolve({ kind: 'failed', timedOut, why })
    }
    const cancel = deadlines.clock.after(milliseconds, () => fail(true, `no connection in ${milliseconds} ms`))
    const onError = (error: Error): void => fail(errorCode(error) === 'ETIMEDOUT', describeError(error))
    socket.once('error', onError)
    socket.once('connect', () => {
      cancel()
      socket.off('error', onError)
      resolve({ kind: 'connected', connection: new SmtpConnection(socket, target, deadlines) })
    })
  })
}

type Listener = ((chunk: Buffer) => void) | ((error: Error) => void) | (() => void)

export class SmtpConnection {
  readonly target: Target
  /** Our own address on it; empty if it was lost at once. */
  readonly ownAddress: string
  deadline: number = Number.POSITIVE_INFINITY
  /** Empty while it lives. */
  lostBecause = ''
  /** The TLS socket, once there is one. */
  secured: TLSSocket | undefined
  /** What the server said that is no reply, or was not asked for; empty if it never did. */
  misread: ByteString = ''
  /** Called once when it is lost. */
  onLost: () => void = () => undefined

  private socket: Socket
  private parser = new ReplyParser()
  private readonly deadlines: Deadlines
  private limits: TimeLimits = { replyMillisecondsMax: 0, totalDeadline: 0 }
  private readonly ready: Reply[] = []
  private waiting: ((reply: Reply | undefined) => void) | undefined
  private waitingForDrain: (() => void) | undefined
  /** The greeting comes unasked. */
  private owed = 1
  private endHandshake: ((trouble: TlsTrouble) => void) | undefined
  private detach: () => void = () => undefined

  constructor(socket: Socket, target: Target, deadlines: Deadlines) {
    this.socket = socket
    this.target = target
    this.ownAddress = socket.localAddress ?? ''
    this.deadlines = deadlines
    this.parser.dashesMayLack = true
    this.listen(socket)
    deadlines.watch(this)
  }

  /** Sets the limits of the attempt that uses it now. */
  useLimits(limits: TimeLimits): void {
    this.limits = limits
  }

  /** Sends commands; `replies` says how many answers they will bring. */
  send(commands: ByteString, replies: number): void {
    this.owed += replies
    if (this.lostBecause === '') this.socket.write(commands, 'latin1')
  }

  /** Says EHLO or HELO, and reads the answer. */
  hello(command: ByteString, millisecondsMax: number): Promise<Reply | undefined> {
    this.parser.dashesMayLack = true
    this.send(command, 1)
    return this.reply(millisecondsMax)
  }

  sendContent(bytes: Uint8Array): void {
    if (this.lostBecause === '') this.socket.write(bytes)
  }

  /** The content is going out: an answer to it may come before its end. */
  expectReply(): void {
    this.owed++
  }

  /** The next reply in order; undefined once the connection is lost. */
  reply(millisecondsMax: number): Promise<Reply | undefined> {
    return this.replyBy(this.deadlineIn(millisecondsMax))
  }

  /** The answer to a message that is out: not cut by the total, because the server may have accepted it and be about to say
   *  so. Of an answer that breaks off, what has come. */
  async lastReply(millisecondsMax: number): Promise<Reply | undefined> {
    this.parser.textMayComeFirst = true
    const reply = await this.replyBy(this.deadlines.clock.monotonic() + this.cut(millisecondsMax))
    return reply ?? this.parser.rest()
  }

  /** A reply has come and is not yet read. */
  get hasReply(): boolean {
    return this.ready.length > 0
  }

  private replyBy(deadline: number): Promise<Reply | undefined> {
    const reply = this.ready.shift()
    if (reply !== undefined || this.lostBecause !== '') return Promise.resolve(reply)
    this.deadline = deadline
    return new Promise((resolve) => {
      this.waiting = resolve
    })
  }

  /** Resolves when more content may be sent, a reply has come, or the connection is lost. */
  async drained(millisecondsMax: number): Promise<void> {
    // What the other side has said is read before more is written: a write that fails would take it away.
    await nextTurn()
    if (this.lostBecause !== '' || this.hasReply || this.socket.writableLength < pressureBytesMax) return
    this.deadline = this.deadlineIn(millisecondsMax)
    await new Promise<void>((resolve) => {
      this.waitingForDrain = resolve
    })
  }

  /** True if nothing is owed, nothing unread: the next command's reply will be its own. */
  get inStep(): boolean {
    return this.lostBecause === '' && this.owed === 0 && this.ready.length === 0 && this.parser.idle
  }

  /** Begins TLS. Resolves with the reason if that fails, and the connection is lost then. */
  secure(options: ConnectionOptions, millisecondsMax: number): Promise<TlsTrouble | undefined> {
    return new Promise((resolve) => {
      this.detach()
      // Its own trouble ends in `close`, which the TLS socket sees.
      this.socket.on('error', () => undefined)
      this.deadline = this.deadlineIn(millisecondsMax)
      const secured: TLSSocket = connectTls({ ...options, socket: this.socket })
      this.socket = secured
      const settle = (trouble?: TlsTrouble): void => {
        this.detach()
        this.deadline = Number.POSITIVE_INFINITY
        this.endHandshake = undefined
        if (trouble === undefined) {
          this.secured = secured
          this.parser = new ReplyParser()
          this.listen(secured)
        } else this.lose(trouble.why)
        resolve(trouble)
      }
      this.endHandshake = settle
      this.listenWith(secured, {
        error: (error: Error) => settle({ why: describeTlsError(error), code: errorCode(error) }),
        close: () => settle({ why: 'connection closed in the handshake', code: '' }),
        secureConnect: () => settle(),
      })
    })
  }

  /** QUIT; its reply is not waited for, only the other side's closing, for a short while. */
  quit(): void {
    if (this.lostBecause !== '') return
    const { socket } = this
    socket.end('QUIT\r\n', 'latin1')
    const cancel = this.deadlines.clock.after(quitMillisecondsMax, () => socket.destroy())
    socket.once('close', cancel)
    this.lose('closed', false)
  }

  /** Closes without a word: the server drops an unfinished message. */
  drop(): void {
    this.lose('closed')
  }

  onDeadline(): void {
    if (this.endHandshake === undefined) this.lose('timeout')
    else this.endHandshake({ why: 'timeout', code: '' })
  }

  private listen(socket: Socket): void {
    this.listenWith(socket, {
      data: (chunk: Buffer) => this.receive(chunk),
      error: (error: Error) => this.loseToPeer(describeError(error)),
      end: () => this.loseToPeer(hungUp),
      close: () => this.loseToPeer('closed'),
      drain: () => this.wakeWriter(),
    })
  }

  private listenWith(socket: Socket, listeners: Readonly<Record<string, Listener>>): void {
    for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener)
    this.detach = () => {
      for (const [event, listener] of Object.entries(listeners)) socket.off(event, listener)
    }
  }

  private receive(chunk: Buffer): void {
    if (this.lostBecause !== '') return
    const wellFormed = this.parser.push(chunk.toString('latin1'), (reply) => this.take(reply))
    if (wellFormed || this.lostBecause !== '') return
    this.misread = this.parser.unfinished
    this.lose('protocol')
  }

  private take(reply: Reply): void {
    if (this.lostBecause !== '') return
    if (this.owed === 0) {
      if (reply.code >= refusal) this.ready.push(reply)
      else this.misread = reply.text
      this.lose('protocol')
      return
    }
    this.owed--
    const waiting = this.waiting
    if (waiting === undefined) {
      this.ready.push(reply)
      this.wakeWriter()
      return
    }
    this.waiting = undefined
    this.deadline = Number.POSITIVE_INFINITY
    waiting(reply)
  }

  private deadlineIn(millisecondsMax: number): number {
    return Math.min(this.deadlines.clock.monotonic() + this.cut(millisecondsMax), this.limits.totalDeadline)
  }

  private cut(millisecondsMax: number): number {
    return Math.min(millisecondsMax, this.limits.replyMillisecondsMax)
  }

  private wakeWriter(): void {
    const wake = this.waitingForDrain
    this.waitingForDrain = undefined
    if (wake === undefined) return
    if (this.waiting === undefined) this.deadline = Number.POSITIVE_INFINITY
    wake()
  }

  /** No more will come: a reply that had begun counts as the answer. */
  private loseToPeer(why: string): void {
    if (this.lostBecause !== '') return
    const rest = this.owed > 0 ? this.parser.rest() : undefined
    if (rest !== undefined) this.take(rest)
    this.lose(why)
  }

  private lose(why: string, destroy = true): void {
    if (this.lostBecause !== '') return
    this.lostBecause = why
    this.deadlines.forget(this)
    const waiting = this.waiting
    this.waiting = undefined
    waiting?.(undefined)
    this.wakeWriter()
    if (destroy) this.socket.destroy()
    // Error events after this do not matter, but must have a listener.
    this.socket.on('error', () => undefined)
    this.onLost()
  }
}
