/** Which home is meant, when more than one place could hold it. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const systemHome = '/var/lib/quaver'

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
  /** Why this one, in words for an error message. */
  readonly because: string
  /** It is there; a home is known by its control directory. */
  readonly exists: boolean
  /** Another home that is there, and which nobody named either; undefined where there is no doubt. */
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
  return { path, because, exists: existsSync(join(path, 'control')), other: undefined }
}
