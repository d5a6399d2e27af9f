/** The options that every Node process of ours is started with; bin/quaver has the same.
 *  No signal may open a debugger in it: whoever reaches its port runs what he likes as that account. */
import { extname, join } from 'node:path'

/** Bundles of an installed tree are JavaScript and few; there is nothing to keep. */
const isClone = extname(import.meta.filename) === '.ts'

/** Without the cache of what was compiled. */
export const plainNodeFlags: readonly string[] = ['--disable-warning=ExperimentalWarning', '--disable-sigusr1']

export const nodeFlags: readonly string[] = [
  ...plainNodeFlags,
  ...(isClone ? [`--require=${join(import.meta.dirname, 'compile-cache.mjs')}`] : []),
]
