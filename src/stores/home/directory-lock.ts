/** Keeps two administrators who change files at once from losing each other's lines. */
import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { tryLockExclusive } from '../../system/libc.ts'
import { AccountError } from './account-error.ts'

/** A command holds a lock for some file writes, each of which waits for the disk. */
const waitMilliseconds = 5000
const retryMilliseconds = 50

/** Locks a directory until the function returned is called. Throws AccountError if another command still holds it after the
 *  wait. */
export async function lockDirectory(path: string, waitsFor: number = waitMilliseconds): Promise<() => Promise<void>> {
  const handle = await open(path)
  for (let waited = 0; tryLockExclusive(handle.fd) === 'busy'; waited += retryMilliseconds) {
    if (waited >= waitsFor) {
      await handle.close()
      throw new AccountError(`another command is changing ${path}; try again when it is done`)
    }
    await sleep(retryMilliseconds)
  }
  return () => handle.close()
}
