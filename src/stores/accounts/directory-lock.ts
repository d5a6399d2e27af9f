/** Two administrators at once must not lose each other's lines. */
import { open } from 'node:fs/promises'
import { tryLockExclusive } from '../../system/libc.ts'
import { AccountError } from './address.ts'

/** Locks a directory until the function returned is called. Throws AccountError if another command has it. */
export async function lockDirectory(path: string): Promise<() => Promise<void>> {
  const handle = await open(path)
  if (tryLockExclusive(handle.fd) === 'busy') {
    await handle.close()
    throw new AccountError(`another command is changing ${path}; try again when it is done`)
  }
  return () => handle.close()
}
