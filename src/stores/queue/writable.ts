/** Checks that the queue's files can be written, before any error counts as damage: a read-only file system, or a file of
 *  another owner, needs an administrator, not a salvage.
 *  Fails:  throws with the system's code, the owner and the remedy. */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import { errorCode } from '../../system/files.ts'

export function demandWritable(path: string): void {
  for (const one of [dirname(path), path, `${path}-wal`, `${path}-shm`]) {
    if (!existsSync(one)) continue
    try {
      accessSync(one, constants.R_OK | constants.W_OK)
    } catch (error) {
      throw new Error(`${describeError(error)}${remedy(one, errorCode(error))}`, { cause: error })
    }
  }
}

function remedy(path: string, code: string): string {
  if (code === 'EROFS') return ': nothing is lost; mount it writable'
  const uid = process.geteuid?.() ?? 0
  const { uid: owner } = statSync(path)
  return owner === uid
    ? ': see its mode'
    : `: it belongs to uid ${owner}, and this program runs as uid ${uid}: chown ${uid} ${path}`
}
