/** How many messages a queue holds that nobody runs: for whoever is about to take a home away.
 *  Never:  writes. While the queue's process runs it has the database for itself, and is asked instead.
 *  Fails:  throws if it cannot be told, which means: there may be some. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { errorCode } from '../../system/files.ts'

/** Beside the drop directory: what a restore does not let be sent. */
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
