/** One connection to a remote SMTP server: commands out, replies in, in order, each within its time.
 *  Knows:  sockets, TLS, how many replies are owed, the total deadline.
 *  Never:  what a reply means.
 *  Fails:  never throws. Once it is lost `reply` and `drained` say so at once, and `lostBecause` says why: `timeout`, or
 *          `protocol` for a reply that nobody asked for, or that is none. */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { type Reply, ReplyParser } from '../../protocols/smtp/reply-parser.ts'
import { errorCode } from '../../system/files.ts'
import type { Deadlines } from './deadlines.ts'
import type { Target } from './mail-exchangers.ts'

/** `lostBecause` when the server closed the connection. */
export const hungUp = 'closed by the other side'
/** More than this not yet sent: the writer waits. */
const pressureBytesMax: number = 256 * 1024

const quitMillisecondsMax = 5_000

/** An attempt's time: what one reply may take is cut to what is left of the whole. */
export interface TimeLimits {
  /** control/timeoutremote. */
  readonly replyMillisecondsMax: number
  /** Monotonic milliseconds. */
  readonly totalDeadline: number
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
  deadline: number = Number.POSITIVE_INFINITY
  /** Empty while it lives. */
  lostBecause = ''
  encrypted = false
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
  private endHandshake: ((trouble: string) => void) | undefined
  private detach: () => void = () => undefined

  constructor(socket: Socket, target: Target, deadlines: Deadlines) {
    this.socket = socket
    this.target = target
    this.deadlines = deadlines
    this.listen(socket)
    deadlines.watch(this)
  }

  /** Whose time is running now. */
  useLimits(limits: TimeLimits): void {
    this.limits = limits
  }

  /** Sends commands; `replies` says how many answers they will bring. */
  send(commands: ByteString, replies: number): void {
    this.owed += replies
    if (this.lostBecause === '') this.socket.write(commands, 'latin1')
  }

  sendContent(bytes: Uint8Array, replies: number = 0): void {
    this.owed += replies
    if (this.lostBecause === '') this.socket.write(bytes)
  }

  /** The next reply in order; undefined once the connection is lost. */
  reply(millisecondsMax: number): Promise<Reply | undefined> {
    const reply = this.ready.shift()
    if (reply !== undefined || this.lostBecause !== '') return Promise.resolve(reply)
    this.expectWithin(millisecondsMax)
    return new Promise((resolve) => {
      this.waiting = resolve
    })
  }

  /** Resolves when more content may be sent, or the connection is lost. */
  async drained(millisecondsMax: number): Promise<void> {
    if (this.lostBecause !== '' || this.socket.writableLength < pressureBytesMax) return
    this.expectWithin(millisecondsMax)
    await new Promise<void>((resolve) => {
      this.waitingForDrain = resolve
    })
  }

  /** True if nothing is owed, nothing unread: the next command's reply will be its own. */
  get inStep(): boolean {
    return this.lostBecause === '' && this.owed === 0 && this.ready.length === 0 && this.parser.idle
  }

  /** Goes on in TLS. Resolves with the reason if it could not be had, and the connection is lost then; empty if it was. */
  secure(options: ConnectionOptions, millisecondsMax: number): Promise<string> {
    return new Promise((resolve) => {
      this.detach()
      // Its own trouble ends in `close`, which the TLS socket sees.
      this.socket.on('error', () => undefined)
      this.expectWithin(millisecondsMax)
      const secured: TLSSocket = connectTls({ ...options, socket: this.socket })
      this.socket = secured
      const settle = (trouble: string): void => {
        this.detach()
        this.deadline = Number.POSITIVE_INFINITY
        this.endHandshake = undefined
        if (trouble === '') {
          this.encrypted = true
          this.parser = new ReplyParser()
          this.listen(secured)
        } else this.lose(trouble)
        resolve(trouble)
      }
      this.endHandshake = settle
      this.listenWith(secured, {
        error: (error: Error) => settle(describeError(error)),
        close: () => settle('connection closed in the handshake'),
        secureConnect: () => settle(''),
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
    else this.endHandshake('timeout')
  }

  private listen(socket: Socket): void {
    this.listenWith(socket, {
      data: (chunk: Buffer) => this.receive(chunk),
      error: (error: Error) => this.lose(describeError(error)),
      end: () => this.lose(hungUp),
      close: () => this.lose('closed'),
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
    if (!wellFormed) this.lose('protocol')
  }

  private take(reply: Reply): void {
    if (this.lostBecause !== '') return
    if (this.owed === 0) {
      this.lose('protocol')
      return
    }
    this.owed--
    const waiting = this.waiting
    if (waiting === undefined) {
      this.ready.push(reply)
      return
    }
    this.waiting = undefined
    this.deadline = Number.POSITIVE_INFINITY
    waiting(reply)
  }

  private expectWithin(millisecondsMax: number): void {
    const milliseconds = Math.min(millisecondsMax, this.limits.replyMillisecondsMax)
    this.deadline = Math.min(this.deadlines.clock.monotonic() + milliseconds, this.limits.totalDeadline)
  }

  private wakeWriter(): void {
    const wake = this.waitingForDrain
    this.waitingForDrain = undefined
    if (wake === undefined) return
    if (this.waiting === undefined) this.deadline = Number.POSITIVE_INFINITY
    wake()
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
    // Error events after this are nobody's business, but must have a listener.
    this.socket.on('error', () => undefined)
    this.onLost()
  }
}
