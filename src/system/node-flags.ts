/** The options that every Node process of ours is started with; bin/quaver has the same.
 *  No signal may open a debugger in it: whoever reaches its port runs what he likes as that account. */
import { extname, join } from 'node:path'

/** Bundles of an installed tree are JavaScript and few; there is nothing to keep. */
const isClone = extname(import.meta.filename) === '.ts'

/** MiB of a half of the young generation. Node's own 16 make a busy program half as large again, and no faster: after
 *  6,000 messages from 50 connections all programs together had 250 MB instead of 325. */
const semiSpaceMebibytesMax = 4

/** Without the cache of what was compiled. */
export const plainNodeFlags: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  '--disable-sigusr1',
  `--max-semi-space-size=${semiSpaceMebibytesMax}`,
]

export const nodeFlags: readonly string[] = [
  ...plainNodeFlags,
  ...(isClone ? [`--require=${join(import.meta.dirname, 'compile-cache.mjs')}`] : []),
]
