/** One running `local`: how it is started, what it is told.
 *  Knows:  descriptors, accounts of a child. Never: what a key means, when to start or to retire.
 *  Fails:  `started` rejects if the queue cannot be reached, the process cannot be made, or it ends before it serves; `onExit`
 *          is called when one that served has ended. It belongs to its user: all that is read of it is that it is there,
 *          and one that is stopped, or says nothing, is ended. */
import { type ChildProcess, spawn } from 'node:child_process'
import { extname, join } from 'node:path'
import { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { assert } from '../../base/assert.ts'
import { describeError } from '../../base/outcome.ts'
import { checkAlive, encodeToLocal, fromLocalBytesMax, type ToLocal } from '../../contracts/assign.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import { encodeHello, type Hello } from '../../contracts/hello.ts'
import { type Bound, bindPath } from '../../system/bind.ts'
import { type Clock, within } from '../../system/clock.ts'
import { canPassDescriptors } from '../../system/descriptor-passing.ts'
import { connectUnread, FrameConnection } from '../../system/frame-connection.ts'
import { isStopped } from '../../system/processes.ts'
import type { Log } from '../../system/log.ts'
import { type LogPipe, openLogPipe, pipedForm } from '../../system/log-pipe.ts'
import { nodeFlags } from '../../system/node-flags.ts'
import { shareCompiled } from '../../system/shared-compile-cache.ts'

const connectMillisecondsMax = 10_000
/** It is asked so often whether it is there; so many times without an answer, and it is ended. */
const pingMilliseconds = 5_000
const silentPingsMax = 6
/** A busy machine takes its time. */
const serveMillisecondsMax = 30_000
/** While it is not known to serve, whether it is stopped is looked at more often. */
const startPingMilliseconds = 1_000
/** Of one ping. */
const answersMax = 3
/** A `local` that does not read what it is told is stuck, or traced by its user: it is ended. */
const unreadBytesMax: number = 4 * 1024 * 1024
/** A thousand lines, more than any honest one says. */
const logLimits = { bytesPerSecond: 128 * 1024 } as const
const assignmentsFd = 5
/** Deliveries sync many files at once, each in a thread. */
const threads = '16'
const defaultPath = '/usr/local/bin:/usr/bin:/bin'

/** So that no two have the same name. */
let socketsMade = 0
/** So that the queue can tell which connections are of one process. */
let pairsMade = 0

export interface LocalSetting {
  readonly clock: Clock
  readonly log: Log
  readonly home: string
  readonly demo: boolean
  readonly queueSocket: string
  /** No change of uid for this one. */
  readonly ownUid: number
  /** Undefined: there is no front that could bring sessions. */
  readonly sessions: SessionSockets | undefined
}

/** For frames, and for descriptors where they can be passed. */
type QueueSockets = readonly [Socket, Socket?]

export interface SessionSockets {
  readonly directory: string
  /** The front's account: nobody else connects. Undefined in a demo. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
}

export class LocalProcess {
  /** Resolves when it serves. */
  readonly started: Promise<void>
  private readonly setting: LocalSetting
  private child: ChildProcess | undefined
  private sessionSocket: Bound | undefined
  /** What it says there is told in lspawn's name, with its uid: it belongs to its user, and so does all that it says. */
  private logPipe: LogPipe | undefined
  private pipe: Duplex | undefined
  private cancelWatch: () => void = () => undefined
  private silentPings = 0
  private isLetGo = false
  /** Since it was asked last. */
  private answers = 0

  constructor(setting: LocalSetting, uid: number, gid: number, onExit: (how: string) => void) {
    this.setting = setting
    this.started = this.start(uid, gid, onExit)
  }

  get sessionPath(): string | undefined {
    return this.sessionSocket?.address
  }

  /** After `started`. */
  tell(message: ToLocal): void {
    this.pipe?.write(encodeToLocal(message))
    if ((this.pipe?.writableLength ?? 0) > unreadBytesMax) this.kill()
  }

  /** It finishes what it has, and exits. */
  letGo(): void {
    this.isLetGo = true
    this.pipe?.end()
  }

  private kill(): void {
    this.child?.kill('SIGKILL')
  }

  private async start(uid: number, gid: number, onExit: (how: string) => void): Promise<void> {
    const connections = await this.connectBoth(uid)
    const serves = Promise.withResolvers<void>()
    let isServing = false
    try {
      const { clock, log } = this.setting
      this.logPipe = openLogPipe((line) => log(`local ${uid}: ${line}`), clock, logLimits)
      this.sessionSocket = this.bindSessions(uid)
      const child = this.spawn(uid, gid, connections)
      this.child = child
      child.on('error', serves.reject)
      child.once('exit', (code, signal) => {
        const how = signal === null ? `exit ${code}` : `signal ${signal}`
        this.release()
        if (isServing) onExit(how)
        else serves.reject(new Error(`it ended before it served: ${how}`))
      })
      this.listen(child, serves.resolve)
      this.watch(uid, startPingMilliseconds, () => isServing)
    } catch (error) {
      serves.reject(error)
    } finally {
      // The child has its own copies.
      for (const socket of connections) socket?.destroy()
      this.logPipe?.closeWriteEnd()
    }
    try {
      await serves.promise
      isServing = true
    } catch (error) {
      this.release()
      throw error
    }
  }

  private release(): void {
    this.cancelWatch()
    this.pipe?.destroy()
    this.sessionSocket?.close()
    this.logPipe?.close()
  }

  private listen(child: ChildProcess, onServing: () => void): void {
    const pipe: unknown = (child.stdio as readonly unknown[])[assignmentsFd]
    // Without a process there is none.
    if (!(pipe instanceof Duplex)) return
    this.pipe = pipe
    const onFrame = (frame: Frame): void => {
      checkAlive(frame)
      if (++this.answers > answersMax) throw new ContractError('answers nobody asked for')
      this.silentPings = 0
      onServing()
    }
    // One that has closed it, by whatever trick, is silent from now on.
    const limits = { frameBytesMax: fromLocalBytesMax, unreadBytesMax: Number.POSITIVE_INFINITY }
    new FrameConnection(pipe, { onFrame, onClose: () => undefined }, limits)
  }

  /** Counts its own looks, not time: after this machine was asleep everybody gets the chance to answer. */
  private watch(uid: number, milliseconds: number, isServing: () => boolean): void {
    this.cancelWatch = this.setting.clock.after(milliseconds, () => {
      const silentMilliseconds = this.isLetGo ? 0 : ++this.silentPings * milliseconds
      const isSilent = silentMilliseconds > (isServing() ? silentPingsMax * pingMilliseconds : serveMillisecondsMax)
      if (isSilent || isStopped(this.child?.pid)) {
        this.setting.log(`warning: local of uid ${uid} ${isSilent ? 'says nothing' : 'was stopped'}, and is ended`)
        return this.kill()
      }
      this.answers = 0
      if (isServing() && !this.isLetGo) this.tell({ kind: 'ping' })
      this.watch(uid, isServing() ? pingMilliseconds : startPingMilliseconds, isServing)
    })
  }

  /** Without it mail is delivered all the same. */
  private bindSessions(uid: number): Bound | undefined {
    const { sessions, log } = this.setting
    if (sessions === undefined) return undefined
    const name = `${uid}.${process.pid}.${++socketsMade}.sock`
    let bound: Bound | undefined
    try {
      bound = bindPath(join(sessions.directory, name), 0o600, sessions.owner)
      bound.listen()
      return bound
    } catch (error) {
      bound?.close()
      log(`alert: uid ${uid} can have no sessions: ${describeError(error)}`)
      return undefined
    }
  }

  /** Opened here on behalf of the uid: the queue believes only what lspawn's socket says. */
  private async connectBoth(uid: number): Promise<QueueSockets> {
    const pair = ++pairsMade % 0x1_0000_0000
    const queue = await this.connect({ purpose: 'local', uid, pair })
    if (!canPassDescriptors()) return [queue]
    try {
      return [queue, await this.connect({ purpose: 'descriptors', uid, pair })]
    } catch (error) {
      queue.destroy()
      throw error
    }
  }

  private async connect(hello: Hello): Promise<Socket> {
    const { clock, queueSocket } = this.setting
    const socket = await within(clock, connectMillisecondsMax, 'queue', connectUnread(queueSocket))
    socket.on('error', () => undefined)
    const written = new Promise<void>((resolve, reject) => {
      socket.write(encodeHello(hello), (error) => (error === null || error === undefined ? resolve() : reject(error)))
    })
    await within(clock, connectMillisecondsMax, 'queue', written)
    return socket
  }

  private spawn(uid: number, gid: number, [queue, descriptors]: QueueSockets): ChildProcess {
    const { home, demo, ownUid } = this.setting
    assert(uid !== 0 || demo, 'no local runs as root')
    shareCompiled(uid)
    const file = join(import.meta.dirname, '..', 'local', `main${extname(import.meta.filename)}`)
    const args = [...nodeFlags, file, '--home', home, ...(demo ? ['--demo'] : [])]
    const log = this.logPipe?.writeFd ?? 'ignore'
    return spawn(process.execPath, args, {
      // A home may be closed to the uid.
      cwd: '/',
      env: localEnvironment(),
      stdio: ['ignore', log, log, 'ignore', queue, 'pipe', this.sessionSocket?.fd ?? 'ignore', descriptors ?? 'ignore'],
      // With these, Node also drops all supplementary groups.
      ...(uid === ownUid ? {} : { uid, gid }),
    })
  }
}

function localEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: process.env['PATH'] ?? defaultPath,
    UV_THREADPOOL_SIZE: threads,
    QUAVER_LOG: pipedForm,
  }
  for (const name of ['LANG', 'TZ', 'QMAILQUEUE']) {
    const value = process.env[name]
    if (value !== undefined) environment[name] = value
  }
  return environment
}
