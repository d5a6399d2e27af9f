/** The socket of one POP3 session, as lines in and bytes out.
 *  Knows:  back-pressure both ways, how long to wait for a client, closing so that the last reply arrives.
 *  Never:  what a command means.
 *  Fails:  whoever waits for a line or for room learns that there is none any more; `lost` says why. */
import type { Duplex } from 'node:stream'
import type { ByteString } from '../../../base/byte-string.ts'
import type { Clock } from '../../../system/clock.ts'
import type { Limits } from './limits.ts'

const lf = 10

export type Line =
  | { readonly kind: 'line'; readonly line: ByteString }
  | { readonly kind: 'too-long' }
  /** The client is gone, or has closed its half, or we are to stop. */
  | { readonly kind: 'none' }

export type Lost = 'closed' | 'idle' | 'slow' | 'error' | 'replaced'

export interface DialogueSetting {
  readonly clock: Clock
  readonly limits: Limits
  readonly lineBytesMax: number
  /** Between two commands. */
  readonly idleMillisecondsMax: number
}

type Waiting = 'line' | 'room' | 'close' | undefined

export class Dialogue {
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>
  private readonly socket: Duplex
  private readonly setting: DialogueSetting
  private input: Buffer = Buffer.alloc(0)
  private inputEnded = false
  private stopWanted = false
  private output = ''
  private waiting: Waiting
  private waitingSince = 0
  private wake: () => void = () => undefined
  private lostBy: Lost | undefined

  constructor(socket: Duplex, setting: DialogueSetting) {
    this.socket = socket
    this.setting = setting
    // A client may close its half after QUIT: it is still answered.
    socket.allowHalfOpen = true
    this.closed = new Promise((resolve) => {
      if (socket.destroyed) this.lose('closed')
      if (socket.closed) resolve()
      else socket.once('close', () => (this.lose('closed'), resolve()))
    })
    socket.on('error', () => this.lose('error'))
    socket.on('data', (bytes: Buffer) => this.take(bytes))
    socket.on('end', () => {
      this.inputEnded = true
      this.wakeFrom('line')
    })
    socket.resume()
  }

  /** Why there is no client any more; undefined while there is one. */
  get lost(): Lost | undefined {
    return this.lostBy
  }

  /** For the client: to say something, or to take what was said. 0 while it is our turn. */
  get waitedMilliseconds(): number {
    return this.waiting === undefined ? 0 : this.setting.clock.monotonic() - this.waitingSince
  }

  /** To be called every second or so. */
  tick(): void {
    if (this.waiting === undefined) return
    const { limits, idleMillisecondsMax } = this.setting
    const waited = this.waitedMilliseconds
    // RFC 1939 §3: whoever is idle for too long hears nothing. The line counts, not each of its bytes.
    if (this.waiting === 'line' && waited > idleMillisecondsMax) this.lose('idle')
    else if (this.waiting === 'room' && waited > limits.stallMillisecondsMax) this.lose('slow')
    else if (this.waiting === 'close' && waited > limits.lingerMillisecondsMax) this.socket.destroy()
  }

  /** No line is given from now on. */
  stop(): void {
    this.stopWanted = true
    this.wakeFrom('line')
  }

  /** The next one, without its LF. What was said is sent before it is waited for. */
  async line(): Promise<Line> {
    let since: number | undefined
    for (;;) {
      if (this.lostBy !== undefined || this.stopWanted) return { kind: 'none' }
      const end = this.input.indexOf(lf)
      // The CR before the LF is not counted.
      if ((end < 0 ? this.input.length : end) > this.setting.lineBytesMax + 1) return { kind: 'too-long' }
      if (end >= 0) {
        const line = this.input.toString('latin1', 0, end)
        this.keepFrom(end + 1)
        return { kind: 'line', line }
      }
      if (this.inputEnded) return { kind: 'none' }
      if (!(await this.flush())) continue
      since ??= this.setting.clock.monotonic()
      await this.wait('line', since)
    }
  }

  /** Gathers replies, so that those to commands that came together leave together. False: the client is gone. */
  async say(text: ByteString): Promise<boolean> {
    this.output += text
    return this.output.length < this.setting.limits.pieceBytes ? this.lostBy === undefined : await this.flush()
  }

  /** Sends bytes after all that was said. False: the client is gone. */
  async send(bytes: Buffer): Promise<boolean> {
    return (await this.flush()) && (await this.write(bytes))
  }

  /** Sends what was said, and closes when the client has read it. */
  async end(): Promise<void> {
    if (this.lostBy === undefined) {
      // What the client still sends is read and dropped for a while: a reset would take our last reply with it.
      this.inputEnded = true
      this.input = Buffer.alloc(0)
      this.socket.resume()
      this.socket.end(this.output, 'latin1')
      this.output = ''
      this.waiting = 'close'
      this.waitingSince = this.setting.clock.monotonic()
    }
    await this.closed
  }

  /** Goes away, if need be in the middle of a reply. */
  destroy(why: Lost = 'error'): void {
    this.lose(why)
  }

  private async flush(): Promise<boolean> {
    const { output } = this
    this.output = ''
    return output === '' ? this.lostBy === undefined : await this.write(Buffer.from(output, 'latin1'))
  }

  private async write(bytes: Buffer): Promise<boolean> {
    const { pieceBytes } = this.setting.limits
    for (let at = 0; at < bytes.length && this.lostBy === undefined; at += pieceBytes) {
      this.socket.write(bytes.subarray(at, at + pieceBytes), () => this.wakeFrom('room'))
      // Nothing is left here if the kernel had room. What wakes may be an earlier write.
      while (this.socket.writableLength > 0 && this.lostBy === undefined) await this.wait('room')
    }
    return this.lostBy === undefined
  }

  private async wait(what: 'line' | 'room', since: number = this.setting.clock.monotonic()): Promise<void> {
    if (this.lostBy !== undefined) return
    this.waiting = what
    this.waitingSince = since
    if (what === 'line' && this.socket.isPaused()) this.socket.resume()
    await new Promise<void>((resolve) => {
      this.wake = resolve
    })
    this.waiting = undefined
  }

  private take(bytes: Buffer): void {
    if (this.inputEnded) return
    this.input = this.input.length === 0 ? bytes : Buffer.concat([this.input, bytes])
    if (this.input.length > this.setting.limits.pendingInputBytesMax) this.socket.pause()
    this.wakeFrom('line')
  }

  /** An empty view would keep what it views in memory for as long as the session waits. */
  private keepFrom(at: number): void {
    this.input = at < this.input.length ? this.input.subarray(at) : Buffer.alloc(0)
  }

  private wakeFrom(what: 'line' | 'room'): void {
    if (this.waiting === what) this.wake()
  }

  private lose(why: Lost): void {
    if (this.lostBy !== undefined) return
    this.lostBy = why
    this.input = Buffer.alloc(0)
    this.socket.destroy()
    if (this.waiting !== 'close') this.wake()
  }
}
