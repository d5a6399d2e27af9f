/** Whether a directory is a qmail's home, with messages in queue/mess, which no program of ours reads. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '../../system/files.ts'
import type { Home } from './layout.ts'
import { HomeError } from './make.ts'

/** Throws HomeError with the number of messages and the way to import them. */
export async function refuseQmailQueue(home: Home): Promise<void> {
  const count = await messagesIn(join(home.queue, 'mess'))
  if (count === undefined) return
  const messages = count === 1 ? '1 message' : `${count} messages`
  throw new HomeError(
    [
      `${home.path} is the home of a qmail: ${home.queue}/mess holds ${messages} that Quaver does not read, so nothing was started or changed.`,
      `Stop that qmail; then a home of Quaver's own takes all of it over: quaver adopt ${home.path} --home /var/lib/quaver --dry-run`,
      `Or, if no qmail runs on it any more and its messages do not count: mv ${home.queue} ${home.queue}.qmail`,
    ].join('\n'),
  )
}

/** In the directory's own directories, as qmail splits them; undefined if there is no such directory. */
async function messagesIn(directory: string): Promise<number | undefined> {
  const splits = await entriesOf(directory)
  if (splits === undefined) return undefined
  let count = 0
  for (const split of splits) {
    const names = /^[0-9]+$/.test(split) ? await entriesOf(join(directory, split)) : undefined
    count += names?.filter((name) => /^[0-9]+$/.test(name)).length ?? 0
  }
  return count
}

async function entriesOf(directory: string): Promise<string[] | undefined> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}
