/** What the system tells and does of programs that run. */
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** The program and all it started, unless they have left its group. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

/** The process is stopped or traced: it does nothing until it is continued. False where the system does not tell. */
export function isStopped(pid: number | undefined): boolean {
  if (pid === undefined || process.platform !== 'linux') return false
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The state follows the name, which is in parentheses and may hold anything.
    return /^[Tt] /.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}
