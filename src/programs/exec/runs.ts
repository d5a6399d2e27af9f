/** One caller's connection for programs whose output it reads: any number of runs at once.
 *  Fails:  a program with too much output is killed; when the caller leaves, its programs are killed. */
import type { ExecuteRequest, Run } from '../../contracts/execute.ts'
import { encodeExecuteReply } from '../../contracts/execute.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import type { WatchedProcess } from '../../system/watched-process.ts'
import type { Ended, Launcher } from '../../system/launcher.ts'

const stdoutFd = 1

interface Running {
  process: WatchedProcess | undefined
  /** The caller no longer reads its output. */
  cancelled: boolean
  tooMuch: boolean
  outputBytes: number
}

export class Runs {
  private readonly connection: FrameConnection
  private readonly launcher: Launcher
  private readonly running = new Map<number, Running>()

  constructor(connection: FrameConnection, launcher: Launcher) {
    this.connection = connection
    this.launcher = launcher
  }

  handle(request: Exclude<ExecuteRequest, { request: 'chain' }>): void {
    if (request.request === 'run') void this.run(request.ref, request)
    else this.cancel(request.ref)
  }

  closed(): void {
    for (const running of this.running.values()) {
      running.cancelled = true
      running.process?.kill()
    }
  }

  private async run(ref: number, run: Run): Promise<void> {
    const running: Running = { process: undefined, cancelled: false, tooMuch: false, outputBytes: 0 }
    this.running.set(ref, running)
    const ended = await this.launcher.run({
      ...run,
      stdin: null,
      stdout: (bytes) => this.output(ref, running, bytes, run.outputBytesMax),
      more: [],
      onStart: (process) => {
        running.process = process
        if (running.cancelled) process.closeOutput(stdoutFd)
        if (this.connection.closed) process.kill()
      },
    })
    this.running.delete(ref)
    const told: Ended = running.tooMuch ? { how: 'output', code: 0, detail: '' } : ended
    this.connection.send(encodeExecuteReply({ reply: 'ended', ref, ...told }))
  }

  private output(ref: number, running: Running, bytes: Buffer, bytesMax: number): void {
    if (running.cancelled || running.tooMuch) return
    const wanted = bytes.subarray(0, bytesMax - running.outputBytes)
    running.outputBytes += wanted.length
    if (wanted.length > 0) this.connection.send(encodeExecuteReply({ reply: 'output', ref, bytes: wanted }))
    if (wanted.length === bytes.length) return
    running.tooMuch = true
    running.process?.closeOutput(stdoutFd)
    running.process?.kill()
  }

  private cancel(ref: number): void {
    const running = this.running.get(ref)
    if (running === undefined) return
    running.cancelled = true
    running.process?.closeOutput(stdoutFd)
  }
}
