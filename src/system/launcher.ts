/** Starts programs for callers: a slot first, then the program with exactly the environment it was given, and PATH.
 *  Knows:  deadlines count from the request; descriptor 2 is the log.
 *  Fails:  never throws: an ending says what went wrong. */
import type { ByteString } from '../base/byte-string.ts'
import { describeError } from '../base/outcome.ts'
import type { Ending, Run, Variables } from '../contracts/execute.ts'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import { WatchedProcess } from './watched-process.ts'
import { ProgramLog } from './program-log.ts'
import { Slots } from './slots.ts'

/** More than so many waiting for a slot: `busy` at once. */
const waitingMax = 2000
const pathFallback = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface Ended {
  readonly how: Ending
  /** Of `exit`; otherwise 0. */
  readonly code: number
  /** The signal's name, or why it could not be run. */
  readonly detail: string
}

type Descriptor = null | number | ((bytes: Buffer) => void)

export interface Launch extends Pick<Run, 'kind' | 'program' | 'args' | 'millisecondsMax'> {
  readonly environment: Variables
  /** Descriptors 0 and 1, and those from 3 on. */
  readonly stdin: Descriptor
  readonly stdout: Descriptor
  readonly more: readonly Descriptor[]
  onStart(process: WatchedProcess): void
}

export class Launcher {
  private readonly clock: Clock
  private readonly log: Log
  private readonly home: string
  private readonly slots: Slots
  private readonly running = new Set<WatchedProcess>()

  constructor(clock: Clock, log: Log, home: string, processesMax: number) {
    this.clock = clock
    this.log = log
    this.home = home
    this.slots = new Slots({ atOnceMax: processesMax, waitingMax }, clock)
  }

  async run(launch: Launch): Promise<Ended> {
    const began = this.clock.monotonic()
    if (!(await this.slots.take({ millisecondsMax: launch.millisecondsMax })))
      return { how: 'busy', code: 0, detail: '' }
    const said = new ProgramLog(this.log, launch.kind === 'shell' ? 'sh' : launch.program)
    try {
      const millisecondsMax = Math.max(1, launch.millisecondsMax - (this.clock.monotonic() - began))
      return await this.runNow({ ...launch, millisecondsMax }, said)
    } catch (error) {
      return { how: 'not-run', code: 0, detail: describeError(error) }
    } finally {
      said.end()
      this.slots.giveBack()
    }
  }

  /** At the end of this process: nothing it started outlives it. */
  killAll(): void {
    for (const process of this.running) process.kill()
  }

  private async runNow(launch: Launch, said: ProgramLog): Promise<Ended> {
    const { file, args } = commandOf(launch)
    const environment = new Map(launch.environment)
    if (!environment.has('PATH')) environment.set('PATH', process.env['PATH'] ?? pathFallback)
    const log = (bytes: Buffer): void => said.write(bytes)
    const descriptors = [launch.stdin, launch.stdout, log, ...launch.more]
    const { millisecondsMax } = launch
    const call = { file, args, cwd: this.home, environment, descriptors, millisecondsMax }
    const program = await WatchedProcess.start(this.clock, call)
    this.running.add(program)
    try {
      launch.onStart(program)
      const end = await program.ended
      if (end.timedOut) return { how: 'deadline', code: 0, detail: '' }
      if (end.exitCode === undefined) return { how: 'signal', code: 0, detail: end.signal }
      return { how: 'exit', code: end.exitCode, detail: '' }
    } finally {
      this.running.delete(program)
    }
  }
}

function commandOf(launch: Launch): { file: ByteString; args: readonly ByteString[] } {
  if (launch.kind === 'path') return { file: launch.program, args: launch.args }
  return { file: '/bin/sh', args: ['-c', launch.program, ...launch.args] }
}
