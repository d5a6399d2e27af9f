/** `quaver reload`, `pause` and `resume`: the commands of qmail's service scripts. */
import { fieldsOf, numberField } from '../../clients/admin/row.ts'
import { errorCode } from '../../system/files.ts'
import { askProgram, type GlobalOptions, requireHome } from './context.ts'
import { CommandError } from './exit.ts'
import { print, printJson } from './output.ts'

export async function reload(options: GlobalOptions): Promise<void> {
  await askProgram(requireHome(options), 'start', { op: 'reload' }, () => undefined)
  report(options, { reloaded: true }, 'reloaded: locals, virtualdomains and percenthack')
}

export async function pause(options: GlobalOptions): Promise<void> {
  const pids = await signalAll(options, 'SIGSTOP')
  report(options, { paused: pids }, `paused: ${pids.length} programs; 'quaver resume' lets them go on`)
}

export async function resume(options: GlobalOptions): Promise<void> {
  const pids = await signalAll(options, 'SIGCONT')
  report(options, { resumed: pids }, `resumed: ${pids.length} programs`)
}

/** `start` itself goes on: it answers commands, and keeps the sockets. */
async function signalAll(options: GlobalOptions, signal: 'SIGSTOP' | 'SIGCONT'): Promise<number[]> {
  const pids: number[] = []
  const home = requireHome(options)
  await askProgram(home, 'start', { op: 'programs' }, (row) => {
    const pid = numberField(fieldsOf(row), 'pid')
    if (pid > 0) pids.push(pid)
  })
  const done: number[] = []
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
      done.push(pid)
    } catch (error) {
      // The process has ended; its successor is not stopped.
      if (errorCode(error) === 'EPERM') throw new CommandError(`process ${pid}: only root may stop it`)
    }
  }
  return done
}

function report(options: GlobalOptions, facts: object, text: string): void {
  if (options.json === true) printJson(facts)
  else print(text)
}
