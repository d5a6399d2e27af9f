/** One `start` a home: a lock on HOME/run/lock, held by an open descriptor for as long as this process lives. */
import { openSync } from 'node:fs'
import { connectPath } from '../../system/frame-connection.ts'
import { tryLockExclusive } from '../../system/libc.ts'

/** True if this process may bind the home's sockets. Where the system has no such lock, a process that answers on `socket`
 *  counts as the other `start`. */
export async function lockHome(lockPath: string, socket: string): Promise<boolean> {
  // Never closed, and not inherited: Node opens with O_CLOEXEC.
  const state = tryLockExclusive(openSync(lockPath, 'a', 0o600))
  if (state !== 'unsupported') return state === 'locked'
  try {
    const other = await connectPath(socket)
    other.destroy()
    return false
  } catch {
    return true
  }
}
