/** Asks exec to run programs: the caller's half of the execute contract, over one shared connection.
 *  Knows:  refs, lines, time limits. Never: what a program's words or its exit mean.
 *  Fails:  an exec that is gone or does not answer is an ending like any other (`lost`). */
import type { Socket } from 'node:net'
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import {
  decodeExecuteReply,
  encodeExecuteRequest,
  type Ending,
  type ExecuteReply,
  type Run,
  runFault,
} from '../../contracts/execute.ts'
import { encodeHello } from '../../contracts/hello.ts'
import type { Clock } from '../../system/clock.ts'
import { FrameConnection } from '../../system/frame-connection.ts'

export interface RunEnd {
  /** `enough`: the caller read what it wanted. `lost`: nobody knows how the program ended. */
  readonly how: Ending | 'enough' | 'lost'
  /** Of `exit`; otherwise 0. */
  readonly code: number
  /** For the log. */
  readonly detail: string
}

/** Gets each line while the program runs, without its line end; false: enough, what comes later is lost. */
export type OnLine = (line: ByteString) => boolean

/** Whoever can run a program for us. */
export interface Executor {
  run(run: Run, onLine: OnLine): Promise<RunEnd>
}

/** Beyond a run's own time: exec itself hangs. */
const graceMilliseconds = 5000

interface Pending {
  readonly onLine: OnLine
  readonly end: (end: RunEnd) => void
  partial: ByteString
}

export class ExecuteClient implements Executor {
  private readonly connectSocket: () => Promise<Socket>
  private readonly clock: Clock
  private readonly pending = new Map<number, Pending>()
  private lastRef = 0
  private shared: Promise<FrameConnection> | undefined

  constructor(connectSocket: () => Promise<Socket>, clock: Clock) {
    this.connectSocket = connectSocket
    this.clock = clock
  }

  async run(run: Run, onLine: OnLine): Promise<RunEnd> {
    const fault = runFault(run)
    if (fault !== undefined) return { how: 'not-run', code: 0, detail: fault }
    try {
      this.shared ??= this.connect()
      const connection = await this.shared
      return await this.runOn(connection, run, onLine)
    } catch (error) {
      this.shared = undefined
      return { how: 'lost', code: 0, detail: `cannot reach exec: ${describeError(error)}` }
    }
  }

  close(): void {
    void this.shared?.then(
      (connection) => connection.end(),
      () => undefined,
    )
    this.shared = undefined
  }

  private runOn(connection: FrameConnection, run: Run, onLine: OnLine): Promise<RunEnd> {
    this.lastRef = (this.lastRef + 1) % 0x1_0000_0000
    const ref = this.lastRef
    return new Promise((resolve) => {
      const cancelTimer = this.clock.after(run.millisecondsMax + graceMilliseconds, () =>
        this.end(ref, { how: 'lost', code: 0, detail: 'no answer from exec' }),
      )
      this.pending.set(ref, {
        onLine,
        partial: '',
        end: (end) => {
          cancelTimer()
          if (end.how === 'enough') connection.send(encodeExecuteRequest({ request: 'cancel', ref }))
          resolve(end)
        },
      })
      connection.send(encodeExecuteRequest({ request: 'run', ref, ...run }))
      if (connection.closed) this.end(ref, lost)
    })
  }

  private handle(reply: ExecuteReply): void {
    const pending = this.pending.get(reply.ref)
    // Late words of a run that had said enough.
    if (pending === undefined) return
    if (reply.reply === 'output') return this.read(reply.ref, pending, fromBuffer(reply.bytes))
    // A last line without its end counts.
    if (pending.partial !== '' && reply.how === 'exit' && !pending.onLine(pending.partial)) {
      return this.end(reply.ref, enough)
    }
    this.end(reply.ref, { how: reply.how, code: reply.code, detail: reply.detail })
  }

  private read(ref: number, pending: Pending, text: ByteString): void {
    const lines = (pending.partial + text).split('\n')
    pending.partial = lines.pop() ?? ''
    for (const line of lines) if (!pending.onLine(line)) return this.end(ref, enough)
  }

  private end(ref: number, end: RunEnd): void {
    const pending = this.pending.get(ref)
    this.pending.delete(ref)
    pending?.end(end)
  }

  private async connect(): Promise<FrameConnection> {
    const socket = await this.connectSocket()
    const connection = new FrameConnection(socket, {
      onFrame: (frame) => {
        const reply = decodeExecuteReply(frame)
        if (reply !== undefined) this.handle(reply)
      },
      onClose: () => {
        this.shared = undefined
        for (const ref of [...this.pending.keys()]) this.end(ref, lost)
      },
    })
    connection.send(encodeHello({ purpose: 'execute', uid: 0 }))
    return connection
  }
}

const lost: RunEnd = { how: 'lost', code: 0, detail: 'exec closed the connection' }
const enough: RunEnd = { how: 'enough', code: 0, detail: '' }
