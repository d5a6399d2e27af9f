/** A connection of ours to another of our programs: made when it is wanted, or kept from the start on; made again after it was
 *  lost.
 *  Knows:  the hello and what is said after it, waiting for the other program to serve, back-off. Never: what a frame means.
 *  Fails:  `connected` rejects: the other program is away, not there in time, or was away a moment ago. */
import type { Socket } from 'node:net'
import { describeError } from '../base/outcome.ts'
import type { Frame } from '../contracts/frame.ts'
import { encodeHello, type Purpose } from '../contracts/hello.ts'
import { type Clock, within } from '../system/clock.ts'
import { FrameConnection } from '../system/frame-connection.ts'

const connectMillisecondsMaxUsual = 10_000

export interface LinkSetting {
  /** The other program, for errors and the log. */
  readonly to: string
  readonly purpose: Purpose
  /** Of a connection that has another beside it, for descriptors (`contracts/hello.ts`). */
  readonly pair?: number | undefined
  readonly clock: Clock
  connect(): Promise<Socket>
  /** Also for the other program to say that it serves; in the backlog of one that is being restarted a connection just waits. */
  readonly connectMillisecondsMax?: number
  /** Said after the hello. */
  readonly opening?: readonly Uint8Array[]
  /** Before the first frame. */
  onConnection?(connection: FrameConnection): void
  /** What throws here closes the connection. */
  onFrame(frame: Frame, connection: FrameConnection): void
  /** The frame says that the other program serves: until then `connected` does not resolve. */
  isServing?(frame: Frame): boolean
  /** A connection is gone; not told of one that was closed here. */
  onLost?(reason: string): void
  /** The link could not be made; called for the first of several tries. */
  onAway?(reason: string): void
  /** After a failure no try is made for `min`; after the next for twice as long, up to `max`, until a frame has come. */
  readonly backOffMilliseconds?: { readonly min: number; readonly max: number }
}

export class Link {
  private readonly setting: LinkSetting
  private readonly backOffMin: number
  private link: Promise<FrameConnection> | undefined
  /** There, and perhaps not served yet. */
  private current: FrameConnection | undefined
  private isMade = false
  private closes = 0
  private backOff: number
  private retryAt = Number.NEGATIVE_INFINITY
  private trouble = ''
  private isKept = false
  private retry: NodeJS.Timeout | undefined

  constructor(setting: LinkSetting) {
    this.setting = setting
    this.backOffMin = setting.backOffMilliseconds?.min ?? 0
    this.backOff = this.backOffMin
  }

  get connection(): FrameConnection | undefined {
    return this.current
  }

  connected(): Promise<FrameConnection> {
    if (this.link === undefined && this.setting.clock.monotonic() < this.retryAt)
      return Promise.reject(new Error(this.trouble))
    this.link ??= this.make()
    return this.link
  }

  /** Makes the link again when it is lost, until `close`, and keeps the process alive. Resolves after the first try. */
  async keep(): Promise<void> {
    this.isKept = true
    this.retryAt = Number.NEGATIVE_INFINITY
    await this.connected().catch(() => undefined)
  }

  /** For a frame that has no answer: it is lost if no connection can be made. */
  say(frame: Uint8Array): void {
    this.connected().then(
      (connection) => connection.send(frame),
      () => undefined,
    )
  }

  /** From now on the link is not made again when it is lost. */
  leave(): void {
    this.isKept = false
    clearTimeout(this.retry)
  }

  /** Ends after what was sent; made again when it is wanted. */
  close(): void {
    const { current } = this
    this.closes++
    this.leave()
    this.forget()
    current?.end()
  }

  /** Ends it as if it had been lost. */
  drop(reason: string): void {
    this.current?.destroy(reason)
  }

  private async make(): Promise<FrameConnection> {
    const { closes } = this
    try {
      const connection = await this.open(() => this.closes !== closes)
      if (connection.closed) throw new Error(`${this.setting.to} closed the connection`)
      this.isMade = true
      return connection
    } catch (error) {
      if (this.closes === closes) this.failed(describeError(error))
      throw error
    }
  }

  private async open(isClosed: () => boolean): Promise<FrameConnection> {
    const {
      to,
      clock,
      purpose,
      pair = 0,
      isServing,
      connectMillisecondsMax = connectMillisecondsMaxUsual,
    } = this.setting
    const socket = await within(clock, connectMillisecondsMax, to, this.setting.connect())
    if (isClosed()) {
      socket.destroy()
      throw new Error('closed')
    }
    const serving = Promise.withResolvers<undefined>()
    let isServed = isServing === undefined
    if (isServed) serving.resolve(undefined)
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (frame) => {
        this.backOff = this.backOffMin
        this.setting.onFrame(frame, connection)
        if (isServed || isServing?.(frame) !== true) return
        isServed = true
        serving.resolve(undefined)
      },
      onClose: (reason) => {
        serving.reject(new Error(`${to} closed the connection ${reason}`.trimEnd()))
        this.lost(connection, reason)
      },
    })
    this.current = connection
    this.setting.onConnection?.(connection)
    connection.send(encodeHello({ purpose, uid: 0, pair }))
    for (const frame of this.setting.opening ?? []) connection.send(frame)
    try {
      await within(clock, connectMillisecondsMax, to, serving.promise)
    } catch (error) {
      connection.destroy('')
      throw error
    }
    return connection
  }

  private failed(reason: string): void {
    if (this.backOff === this.backOffMin) this.setting.onAway?.(reason)
    this.forget()
    this.trouble = reason
    this.retryAt = this.setting.clock.monotonic() + this.backOff
    this.againLater()
  }

  private lost(connection: FrameConnection, reason: string): void {
    if (this.current !== connection) return
    const { isMade } = this
    this.current = undefined
    this.setting.onLost?.(reason)
    // While it is being made, `open` hears of the loss.
    if (!isMade) return
    this.forget()
    if (this.isKept) this.againLater()
  }

  private againLater(): void {
    const pause = this.backOff
    this.backOff = Math.min(2 * pause, this.setting.backOffMilliseconds?.max ?? 0)
    // A plain timer: with no connection it is all that keeps the process alive.
    if (this.isKept) this.retry = setTimeout(() => void this.keep(), pause)
  }

  private forget(): void {
    this.link = undefined
    this.current = undefined
    this.isMade = false
  }
}
