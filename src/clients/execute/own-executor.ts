/** Runs programs as children of this process, for a program that lives as long as a session and has no exec beside it. */
import { type Run, runFault } from '../../contracts/execute.ts'
import type { Launcher } from '../../system/launcher.ts'
import type { WatchedProcess } from '../../system/watched-process.ts'
import { endOf, enough, type Executor, type OnLine, type RunEnd } from './client.ts'

const stdoutFd = 1

export class OwnExecutor implements Executor {
  private readonly launcher: Launcher

  constructor(launcher: Launcher) {
    this.launcher = launcher
  }

  run(run: Run, onLine: OnLine): Promise<RunEnd> {
    const fault = runFault(run)
    if (fault !== undefined) return Promise.resolve({ how: 'not-run', code: 0, detail: fault })
    return new Promise((resolve) => {
      const read = endOf(onLine)
      let program: WatchedProcess | undefined
      let bytesLeft = run.outputBytesMax
      let tooMuch = false
      const output = (bytes: Buffer): void => {
        if (tooMuch || bytesLeft < 0) return
        const wanted = bytes.subarray(0, bytesLeft)
        bytesLeft -= wanted.length
        if (read({ reply: 'output', ref: 0, bytes: wanted }) !== undefined) {
          // It may still finish, in its time.
          bytesLeft = -1
          program?.closeOutput(stdoutFd)
          return resolve(enough)
        }
        if (wanted.length === bytes.length) return
        tooMuch = true
        program?.kill()
      }
      const launch = {
        ...run,
        stdin: null,
        stdout: output,
        more: [],
        onStart: (started: WatchedProcess) => void (program = started),
      }
      void this.launcher.run(launch).then((ended) => {
        const told = tooMuch ? ({ how: 'output', code: 0, detail: '' } as const) : ended
        resolve(read({ reply: 'ended', ref: 0, ...told }) ?? enough)
      })
    })
  }
}
