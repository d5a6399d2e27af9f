/** Which home is meant, when more than one place could hold it. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const systemHome = '/var/lib/quaver'

export interface FoundHome {
  readonly path: string
  /** Why this one, in words for an error message. */
  readonly because: string
  /** It is there; a home is known by its control directory. */
  readonly exists: boolean
}

/** `--home`, then QUAVER_HOME, then `.quaver` beside the clone's package.json, then the system home.
 *  `cloneRoot` is undefined in a built tree, which has no home of its own. */
export function findHome(
  option: string | undefined,
  variable: string | undefined,
  cloneRoot: string | undefined,
): FoundHome {
  if (option !== undefined) return found(resolve(option), '--home says so')
  if (variable !== undefined && variable !== '') return found(resolve(variable), 'QUAVER_HOME says so')
  const own = cloneRoot === undefined ? undefined : found(join(cloneRoot, '.quaver'), 'it is the home of this clone')
  if (own?.exists === true) return own
  const system = found(systemHome, 'it is the system home')
  return system.exists || own === undefined ? system : own
}

function found(path: string, because: string): FoundHome {
  return { path, because, exists: existsSync(join(path, 'control')) }
}
