/** A copy of the queue at one moment, for a backup: the database without a log, and hard links to the bodies of its messages.
 *  Made in the process that has the queue open.
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

/** Below the queue's directory. One at a time: the next one removes it first. */
export function snapshotDirectory(queue: string): string {
  return join(queue, 'snapshot')
}

export async function removeSnapshot(queue: string): Promise<void> {
  await rm(snapshotDirectory(queue), { recursive: true, force: true })
}

/** `copy` writes the database to a path, as committed when the copying ends. No body that existed at the beginning may be
 *  removed until this resolves. */
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

/** After it no log belongs to the file. */
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
    // The body is missing in the queue, too.
    if (code === 'ENOENT') return
    if (!['EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP'].includes(code)) throw error
    await copyFile(from, to)
  }
}
