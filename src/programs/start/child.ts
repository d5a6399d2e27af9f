/** One supervised program: spawned, watched, restarted with back-off, stopped in bounded time.
 *  Knows:  descriptors, signals, the supervise contract. Never: what the program does.
 *  Fails:  a program that cannot be spawned counts as one that died at once; `Events.trouble` gets the words. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { Duplex } from 'node:stream'
import { assert } from '../../base/assert.ts'
import { describeError } from '../../base/outcome.ts'
import type { Counts } from '../../contracts/counts.ts'
import { decodeFromProgram, encodeToProgram, type ToProgram } from '../../contracts/supervise.ts'
import type { Trouble } from '../../contracts/troubles.ts'
import { type Clock, wallTime } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { FrameConnection } from '../../system/frame-connection.ts'

const restartMillisecondsMin = 200
const restartMillisecondsMax = 10_000
/** A program that ran this long counts as healthy: after its next end it is restarted as fast as the first time. */
const goodMilliseconds = 30_000
/** A little more than a program takes to stop (system/supervised.ts). */
const stopMillisecondsMax = 21_000
/** For an answer about its troubles. */
const answerMillisecondsMax = 5_000

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly uid: number | undefined
  readonly gid: number | undefined
  /** Where descriptors 1 and 2 go: a descriptor of ours. */
  readonly logFd: number
  /** Listening sockets, from descriptor 4 on. */
  readonly listenFds: readonly number[]
}

/** `waiting`: to be started again. `held`: waits for something that it cannot run without. */
export type State = 'starting' | 'running' | 'waiting' | 'held' | 'stopping' | 'stopped'

export interface ChildStatus {
  readonly program: string
  readonly state: State
  readonly pid: number | undefined
  readonly restarts: number
  /** Milliseconds since 1970 of the last change from or to `running`. */
  readonly sinceMs: number
  /** Why it ended last time; empty if it never did. */
  readonly lastEnd: string
  /** From its last answer. */
  readonly counts: Counts
}

export interface Events {
  ready(child: Child): void
  /** Something an operator should read. */
  trouble(text: string): void
}

export class Child {
  readonly name: string
  private readonly command: Command
  private readonly events: Events
  private readonly clock: Clock
  private process: ChildProcess | undefined
  private connection: FrameConnection | undefined
  private state: State = 'stopped'
  private restarts = 0
  private since: number
  private lastEnd = ''
  private failedText = ''
  private startedAt = 0
  private delay = 0
  private cancelRestart: () => void = () => undefined
  private onStopped: (() => void)[] = []
  private onTroubles: ((troubles: readonly Trouble[]) => void)[] = []
  private counts: Counts = {}
  private retired = false
  private lastTls: ToProgram | undefined

  constructor(name: string, command: Command, events: Events, clock: Clock) {
    this.name = name
    this.command = command
    this.events = events
    this.clock = clock
    this.since = clock.monotonic()
  }

  start(): void {
    if (this.state !== 'stopped' && this.state !== 'waiting') return
    this.enter('starting')
    this.startedAt = this.clock.monotonic()
    this.failedText = ''
    this.counts = {}
    const child = this.spawn()
    if (child === undefined) return
    this.process = child
    // `exit` comes once; without a process, only `error` does.
    child.once('error', (error) => {
      if (child.pid !== undefined) return
      if (errorCode(error) === 'ENOENT') this.failedText = missingText([this.command.file, this.command.cwd], error)
      this.ended(child, describeError(error))
    })
    child.once('exit', (code, signal) => this.ended(child, signal === null ? `exit ${code}` : `signal ${signal}`))
    const pipe = child.stdio[3]
    if (pipe instanceof Duplex) this.listen(child, pipe)
  }

  /** It is not started again when it ends: it may end before our `stop`, if the whole process group got a signal. */
  retire(): void {
    this.retired = true
    this.cancelRestart()
    if (this.state === 'waiting') this.enter('stopped')
  }

  /** Asks the process to stop, waits, then kills it. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.retire()
    if (this.state === 'stopped') return
    this.enter('stopping')
    const gone = new Promise<void>((resolve) => this.onStopped.push(resolve))
    // A paused process would not read the order.
    this.process?.kill('SIGCONT')
    this.connection?.send(encodeToProgram({ kind: 'stop' }))
    const cancel = this.clock.after(stopMillisecondsMax, () => {
      this.events.trouble(`${this.name} did not stop in ${stopMillisecondsMax / 1000} s and is killed`)
      this.kill()
    })
    await gone
    cancel()
  }

  /** Undefined: it runs, but does not answer. Empty if it does not run. */
  async troubles(): Promise<readonly Trouble[] | undefined> {
    if (this.state !== 'running' || this.connection === undefined) return []
    const { promise, resolve } = Promise.withResolvers<readonly Trouble[] | undefined>()
    const cancel = this.clock.after(answerMillisecondsMax, () => resolve(undefined))
    this.onTroubles.push(resolve)
    this.connection.send(encodeToProgram({ kind: 'ask' }))
    return await promise.finally(cancel)
  }

  kill(): void {
    this.process?.kill('SIGKILL')
  }

  tell(order: ToProgram): void {
    this.connection?.send(encodeToProgram(order))
  }

  /** Sends the order now, and again to each process started later. */
  giveTls(order: ToProgram): void {
    assert(order.kind === 'tls', 'giveTls takes a tls order')
    this.lastTls = order
    this.connection?.send(encodeToProgram(order))
  }

  get running(): boolean {
    return this.state === 'running'
  }

  status(): ChildStatus {
    const { restarts, lastEnd, state, counts } = this
    const sinceMs = wallTime(this.since, this.clock)
    return { program: this.name, state, pid: this.process?.pid, restarts, sinceMs, lastEnd, counts }
  }

  private spawn(): ChildProcess | undefined {
    const { file, args, env, cwd, uid, gid, logFd, listenFds } = this.command
    const account = { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) }
    try {
      return spawn(file, args, { env, cwd, ...account, stdio: ['ignore', logFd, logFd, 'pipe', ...listenFds] })
    } catch (error) {
      // Most refusals come as an `error` event; lack of memory does not.
      this.failedText = describeError(error)
      this.ended(undefined, '')
      return undefined
    }
  }

  private listen(child: ChildProcess, pipe: Duplex): void {
    this.connection = new FrameConnection(pipe, {
      onFrame: (frame) => {
        const message = decodeFromProgram(frame)
        if (message?.kind === 'troubles') {
          this.counts = message.counts
          for (const resolve of this.onTroubles.splice(0)) resolve(message.troubles)
        }
        if (message?.kind === 'failed') this.failedText = message.text
        if (message?.kind === 'ready' && this.process === child && this.state === 'starting') {
          this.enter('running')
          this.events.ready(this)
        }
      },
      onClose: () => undefined,
    })
    if (this.lastTls !== undefined) this.connection.send(encodeToProgram(this.lastTls))
  }

  private ended(child: ChildProcess | undefined, how: string): void {
    if (this.process !== child) return
    this.process = undefined
    this.connection = undefined
    for (const resolve of this.onTroubles.splice(0)) resolve([])
    this.lastEnd = this.failedText === '' ? how : this.failedText
    if (this.retired) {
      this.enter('stopped')
      for (const resolve of this.onStopped.splice(0)) resolve()
      return
    }
    this.enter('waiting')
    this.restarts++
    const ranMilliseconds = this.clock.monotonic() - this.startedAt
    this.delay = ranMilliseconds >= goodMilliseconds ? restartMillisecondsMin : nextDelay(this.delay)
    const what = this.failedText === '' ? `ended (${how})` : `cannot run: ${this.failedText}`
    this.events.trouble(`${this.name} ${what}; it is started again in ${this.delay / 1000} s`)
    this.cancelRestart = this.clock.after(this.delay, () => this.start())
  }

  private enter(state: State): void {
    this.state = state
    this.since = this.clock.monotonic()
  }
}

/** During an upgrade the runtime is missing for some seconds. */
function missingText(paths: readonly string[], error: unknown): string {
  const missing = paths.find((path) => !existsSync(path))
  if (missing === undefined) return describeError(error)
  return `${missing} is not there (ENOENT): an upgrade under way brings it back; else: npm ci`
}

export function nextDelay(delay: number): number {
  return delay === 0 ? restartMillisecondsMin : Math.min(delay * 2, restartMillisecondsMax)
}
