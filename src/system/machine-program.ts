/** Administrators' programs of the machine (useradd, update-alternatives), looked for in its own directories, never by PATH.
 *  Fails:  throws MachineProgramError with the program's words. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'

export class MachineProgramError extends Error {
  override name = 'MachineProgramError'
}

const millisecondsMax = 60_000
const directories: readonly string[] = ['/usr/sbin', '/sbin', '/usr/bin', '/bin']
const environment = { PATH: directories.join(':'), LC_ALL: 'C' }

export function hasMachineProgram(program: string): boolean {
  return directories.some((directory) => existsSync(`${directory}/${program}`))
}

export async function callMachineProgram(program: string, args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(program, args, { timeout: millisecondsMax, env: environment, cwd: '/' })
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
    throw new MachineProgramError(`${program} ${args.join(' ')}: ${said || String(error)}`, { cause: error })
  }
}
