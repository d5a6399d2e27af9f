/** The options that every Node process of ours is started with; bin/quaver has the same.
 *  No signal may open a debugger in it: a client of the debugger's port could run any code as that account. */
import { extname, join } from 'node:path'

/** An installed tree has a few bundles of JavaScript, which need no cache. */
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
