/** Makes directories, and Maildirs, that survive a power cut. Existing ones stay as they are. */
import { chmod, chown, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { OwnerIds } from '../../system/as-owner.ts'
import { errorCode } from '../../system/files.ts'

/** Call it as the Maildir's owner: root must do nothing in a user's directory. */
export async function makeMaildir(maildir: string): Promise<void> {
  for (const path of [maildir, ...['tmp', 'new', 'cur'].map((name) => join(maildir, name))])
    await makeDirectory(path, 0o700, undefined)
  await syncDirectories([maildir])
}

export async function makeDirectory(path: string, mode: number, owner: OwnerIds | undefined): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return
    throw error
  }
  // In this order no other account can enter it in between.
  await chmod(path, mode)
  if (owner !== undefined && process.getuid?.() === 0) await chown(path, owner.uid, owner.gid)
}

export async function syncDirectories(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const handle = await open(path)
    await handle.sync()
    await handle.close()
  }
}
