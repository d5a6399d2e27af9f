/** Loaded before every program of ours (node-flags.ts): what Node has stripped of types and compiled is kept in
 *  node_modules/.cache/quaver, and need not be made anew by the next process. Node looks at the contents of each source
 *  itself, and npm ci empties the place. No environment variable: that would flow on to users' programs.
 *  JavaScript: to load TypeScript here would cost what this saves.
 *  Never:  a place that others than the clone's owner may write to: what lies there is run unseen. As another
 *          account the cache is only read, and only root's (shared-compile-cache.ts).
 *  Fails:  without a word; the program runs, and compiles. */
import { lstatSync, mkdirSync, statSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'

const packages = join(import.meta.dirname, '../../node_modules')
const directory = join(packages, '.cache/quaver')
// Threads have no umask of their own, and come when all is made.
const umask = isMainThread ? process.umask(0o022) : undefined
try {
  const me = process.geteuid?.()
  const owner = statSync(packages).uid
  if (me === owner && isMainThread) mkdirSync(directory, { recursive: true })
  const { uid, mode } = lstatSync(directory)
  if (uid === owner && (me === owner || owner === 0) && (mode & 0o022) === 0) enableCompileCache(directory)
} catch {
  // No such place, and none to be made.
} finally {
  if (umask !== undefined) process.umask(umask)
}
