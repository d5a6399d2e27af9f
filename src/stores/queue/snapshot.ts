/** A copy of the queue as it is at one moment, for a backup: the database, whole and by itself, and the bodies of its messages as
 *  further names of their files. Made in the process that has the queue open.
 *  Fails:  throws StoreError or as Node does; nothing of the copy is left then. */
import { copyFile, link, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { errorCode } from '../../system/files.ts'
import { storeError } from './engine.ts'

export interface QueueSnapshot {
  readonly messages: number
  readonly pages: number
}

/** Below the queue's directory. One at a time: the next one begins with taking it away. */
export function snapshotDirectory(queue: string): string {
  return join(queue, 'snapshot')
}

export async function removeSnapshot(queue: string): Promise<void> {
  await rm(snapshotDirectory(queue), { recursive: true, force: true })
}

/** `copy` writes the database to a path, with what is committed at the end of the copying; until this resolves no body may be
 *  removed that was there when it began. */
export async function makeSnapshot(queue: string, copy: (path: string) => Promise<number>): Promise<QueueSnapshot> {
  const directory = snapshotDirectory(queue)
  try {
    await removeSnapshot(queue)
    await mkdir(join(directory, 'content'), { recursive: true, mode: 0o700 })
    const path = join(directory, 'queue.db')
    const pages = await copy(path)
    const { messages, inFiles } = close(path)
    for (const id of inFiles) await nameAgain(join(queue, 'content', id), join(directory, 'content', id))
    return { messages, pages }
  } catch (error) {
    await removeSnapshot(queue).catch(() => undefined)
    throw storeError(error)
  }
}

/** After it the file is all there is: no log belongs to it. */
function close(path: string): { readonly messages: number; readonly inFiles: readonly string[] } {
  const database = new DatabaseSync(path)
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE')
    const count = database.prepare('SELECT count(*) AS count FROM message').get()?.['count']
    const rows = database.prepare('SELECT id FROM message WHERE in_file = 1').all()
    return { messages: Number(count), inFiles: rows.map((row) => String(row['id'])) }
  } finally {
    database.close()
  }
}

async function nameAgain(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    const code = errorCode(error)
    // A body that is away is away in the queue, too.
    if (code === 'ENOENT') return
    if (!['EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP'].includes(code)) throw error
    await copyFile(from, to)
  }
}
