/** A program's side of the supervise contract: descriptor 3, and the listening sockets from 4 on.
 *  Every long-lived program begins with `supervised(...)` and calls `ready()` when it serves.
 *  Run by hand without descriptor 3 it simply runs until INT or TERM. */
import { flushCompileCache } from 'node:module'
import type { Counts } from '../contracts/counts.ts'
import { decodeToProgram, encodeFromProgram, type TlsOrder } from '../contracts/supervise.ts'
import type { Trouble } from '../contracts/troubles.ts'
import { isOpenSocket } from './descriptors.ts'
import { adoptDescriptor, FrameConnection } from './frame-connection.ts'
import { forbidTracing } from './libc.ts'
import { flushLog, type Log } from './log.ts'
import { heedSignals } from './signals.ts'

export interface Orders {
  /** Refuse new work, finish what runs, then resolve. The process exits when it does, or when time is up. */
  stop(): Promise<void>
  reload?(): void
  /** All that waits is due now. */
  retry?(): void
  tls?(order: TlsOrder): void
  /** All that troubles the program now. */
  troubles?(): readonly Trouble[]
  /** Of its work since it began. */
  counts?(): Counts
}

export interface Supervised {
  ready(): void
  /** Says why the program cannot run and exits 111; `start` will wait before it tries again. */
  readonly fail: (text: string) => never
  /** The descriptors of the sockets named by `--listen`, by name. */
  readonly listeners: ReadonlyMap<string, number>
}

const supervisorFd = 3
const firstListenerFd = 4
/** A stop that takes longer is cut short: the states on disk make that safe. */
const stopMillisecondsMax = 20_000

export function supervised(log: Log, orders: Orders, listenerNames: readonly string[] = []): Supervised {
  forbidTracing()
  let stopping = false
  const stop = (): void => {
    if (stopping) return
    stopping = true
    setTimeout(() => exit(0), stopMillisecondsMax).unref()
    void orders.stop().then(
      () => exit(0),
      (error: unknown) => {
        log(`alert: trouble stopping: ${String(error)}`)
        exit(111)
      },
    )
  }
  const answer = (): void => {
    connection?.send(
      encodeFromProgram({ kind: 'troubles', troubles: orders.troubles?.() ?? [], counts: orders.counts?.() ?? {} }),
    )
  }
  const connection: FrameConnection | undefined = isOpenSocket(supervisorFd)
    ? new FrameConnection(adoptDescriptor(supervisorFd), {
        onFrame(frame) {
          const message = decodeToProgram(frame)
          if (message?.kind === 'stop') stop()
          else if (message?.kind === 'reload') orders.reload?.()
          else if (message?.kind === 'retry') orders.retry?.()
          else if (message?.kind === 'tls') orders.tls?.(message)
          else if (message?.kind === 'ask') answer()
        },
        onClose: stop,
      })
    : undefined
  heedSignals({
    SIGTERM: stop,
    // A terminal's Ctrl-C reaches the whole group; under `start`, it is start's order that counts.
    SIGINT: () => (connection === undefined ? stop() : undefined),
    SIGHUP: () => orders.reload?.(),
    SIGALRM: () => orders.retry?.(),
  })
  process.on('uncaughtException', (error: Error) => {
    if (error instanceof StartRefused) return
    log(`alert: bug: ${(error.stack ?? error.message).replaceAll('\n', ' | ')}`)
    exit(111)
  })
  return {
    ready() {
      connection?.send(encodeFromProgram({ kind: 'ready' }))
      // Now: a process that is killed would not write it.
      flushCompileCache()
    },
    fail(text) {
      log(`alert: cannot start: ${text}`)
      stopping = true
      connection?.send(encodeFromProgram({ kind: 'failed', text }))
      // Sent by this, not at the end of the turn: on a busy machine the time is over by then.
      connection?.end()
      setTimeout(() => exit(111), 50)
      throw new StartRefused(text)
    },
    listeners: new Map(listenerNames.map((name, index) => [name, firstListenerFd + index])),
  }
}

/** Thrown by `fail` to leave the caller; the process is already on its way out. */
export class StartRefused extends Error {
  override name = 'StartRefused'
}

function exit(code: number): never {
  flushLog()
  process.exit(code)
}
