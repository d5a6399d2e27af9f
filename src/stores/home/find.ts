/** Which home a command means, when more than one place could hold it. */
import { statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import { errorCode } from '../../system/files.ts'

export const systemHome = '/var/lib/quaver'
const configurationOfSystemHome = '/etc/quaver'

/** The directory that control/, users/ and tls/ of the home link to; undefined: they are in the home. */
export function configurationOf(home: string): string | undefined {
  return home === systemHome ? configurationOfSystemHome : undefined
}

/** Why no home can be at this path; undefined: one can. It becomes a field of lines in users/assign. */
export function homePathFault(path: string): string | undefined {
  // oxlint-disable-next-line no-control-regex
  const [character] = /[:\0-\x1f\x7f]/.exec(path) ?? []
  if (character === undefined) return undefined
  const name = character === ':' ? 'a colon' : 'a control character'
  return `${JSON.stringify(path)} has ${name} in it, which users/assign cannot hold: choose another path for the home`
}

export interface FoundHome {
  readonly path: string
  /** Why this one was chosen, for an error message. */
  readonly because: string
  /** It exists; a directory with control/ in it is a home. */
  readonly exists: boolean
  /** Why it is unknown whether it exists, or why it cannot be made; undefined: no such obstacle. */
  readonly obstacle: string | undefined
  /** Another existing home that was not named either; undefined where there is no doubt. */
  readonly other: string | undefined
}

/** `--home`, then QUAVER_HOME, then `.quaver` beside the clone's package.json, then the system home.
 *  `cloneRoot` is undefined in a built tree, which has no home of its own. */
export function findHome(
  option: string | undefined,
  variable: string | undefined,
  cloneRoot: string | undefined,
  systemPath: string = systemHome,
): FoundHome {
  if (option !== undefined) return found(resolve(option), '--home says so')
  if (variable !== undefined && variable !== '') return found(resolve(variable), 'QUAVER_HOME says so')
  const own = cloneRoot === undefined ? undefined : found(join(cloneRoot, '.quaver'), 'it is the home of this clone')
  const system = found(systemPath, 'it is the system home')
  if (own?.exists === true) return { ...own, other: system.exists ? system.path : undefined }
  return system.exists || own === undefined ? system : own
}

function found(path: string, because: string): FoundHome {
  try {
    statSync(join(path, 'control'))
    return { path, because, exists: true, obstacle: undefined, other: undefined }
  } catch (error) {
    return { path, because, exists: false, obstacle: obstacleIn(path, error), other: undefined }
  }
}

function obstacleIn(path: string, error: unknown): string | undefined {
  const code = errorCode(error)
  if (code === 'ENOENT') return undefined
  if (code === 'ENOTDIR') {
    const file = fileOn(path)
    return file === path ? 'it is no directory' : `${file} is no directory`
  }
  if (code === 'EACCES') return `you may not enter it, or a directory above it: ask as its owner or as root`
  return describeError(error)
}

/** The first part of the path that is no directory. */
function fileOn(path: string): string {
  const isFile = (one: string): boolean => {
    try {
      return !statSync(one).isDirectory()
    } catch {
      return false
    }
  }
  const way = [path]
  while (way[0] !== undefined && way[0] !== dirname(way[0])) way.unshift(dirname(way[0]))
  return way.find(isFile) ?? path
}
