/** What every command needs: the home, and whether output is for a script. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { AdminError, ask } from '../../clients/admin/ask.ts'
import { findHome, type FoundHome, homePathFault } from '../../stores/home/find.ts'
import { type Home, homeAt, type SocketName, socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { CommandError, exitCode } from './exit.ts'

export interface GlobalOptions {
  readonly home?: string
  readonly json?: true
}

/** Where the clone is; undefined in a built tree. */
export function cloneRoot(): string | undefined {
  const root = join(import.meta.dirname, '../../..')
  return existsSync(join(root, 'package.json')) ? root : undefined
}

export function isHomeNamed(options: GlobalOptions): boolean {
  return options.home !== undefined || (process.env['QUAVER_HOME'] ?? '') !== ''
}

/** If two homes exist and none was named, says on standard error which one is used. */
export function locateHome(options: GlobalOptions): FoundHome {
  if (options.home?.trim() === '') throw new CommandError('--home names no directory', exitCode.usage)
  const found = findHome(options.home, process.env['QUAVER_HOME'], cloneRoot())
  const fault = homePathFault(found.path)
  if (fault !== undefined) throw new CommandError(fault)
  if (found.other !== undefined)
    process.stderr.write(`quaver: this is about ${found.path} (${found.because}); --home ${found.other} is another\n`)
  return found
}

export function requireHome(options: GlobalOptions): Home {
  return homeIn(locateHome(options))
}

/** Throws CommandError if it is not there. */
export function homeIn(found: FoundHome): Home {
  if (found.exists) return homeAt(found.path)
  refuseObstacle(found)
  throw new CommandError(
    `there is no home at ${found.path} (${found.because}): 'npm start' makes a demo; --home or QUAVER_HOME name another`,
  )
}

/** Whether `start` answers on this home. */
export async function isRunning(home: Home): Promise<boolean> {
  try {
    await ask(socketPath(home, 'start'), { op: 'programs' }, () => undefined, realClock)
    return true
  } catch {
    return false
  }
}

export function refuseObstacle({ path, because, obstacle }: FoundHome): void {
  if (obstacle !== undefined) throw new CommandError(`${path} (${because}) cannot be a home: ${obstacle}`)
}

/** Asks a program of this home; if it does not run, the error says what to do. */
export async function askProgram(
  home: Home,
  socket: SocketName,
  request: object,
  onRow: (row: unknown) => void,
  millisecondsMax?: number,
): Promise<void> {
  try {
    await ask(socketPath(home, socket), request, onRow, realClock, millisecondsMax)
  } catch (error) {
    if (!(error instanceof AdminError)) throw error
    throw explain(error, home)
  }
}

function explain(error: AdminError, home: Home): CommandError {
  if (error.kind === 'down')
    return new CommandError(`Quaver does not run on ${home.path}: start it with 'quaver start --home ${home.path}'`)
  if (error.kind === 'forbidden') return new CommandError(`${error.message}: ask as root`)
  if (error.kind === 'refused') return new CommandError(error.message)
  return new CommandError(error.message, exitCode.temporary)
}
