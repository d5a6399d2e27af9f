/** How many messages the queue of a home without a running `queue` holds: asked before a home is removed.
 *  Never:  writes. A running `queue` has the database locked, and is asked instead.
 *  Fails:  throws if the number is unknown: there may be some. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { errorCode } from '../../system/files.ts'

/** Beside the drop directory: messages there that a restore keeps from being sent. */
export const heldDrop = 'drop-held'

/** `directory`: of the queue. */
export async function leftMessages(directory: string): Promise<number> {
  const handedIn = [...(await namesIn(join(directory, 'drop'))), ...(await namesIn(join(directory, heldDrop)))]
  const isThere = (await namesIn(directory)).includes('queue.db')
  return handedIn.length + (isThere ? countIn(join(directory, 'queue.db')) : 0)
}

function countIn(path: string): number {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    const row = database.prepare('SELECT count(*) AS count FROM message').get()
    return Number(row?.['count'])
  } finally {
    database.close()
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}
