/** HOME/auth/salt-key (0600): 32 random bytes, made once. A name without verifiers is offered a salt derived from it, which
 *  never changes, just as an account's does not.
 *  Fails:  throws as Node does if the file cannot be read or written. */
import { join } from 'node:path'
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { type Files, replaceFile } from '../../system/files.ts'
import type { Random } from '../../system/random.ts'
import type { Home } from '../home/layout.ts'

const keyBytes = 32

export async function saltKey(files: Files, home: Home, random: Random): Promise<ByteString> {
  const path = join(home.auth, 'salt-key')
  const known = await files.read(path, keyBytes)
  if (known?.length === keyBytes) return fromBuffer(known)
  const made = random.bytes(keyBytes)
  await replaceFile(files, path, made, 0o600)
  return fromBuffer(made)
}
