/** HOME/bin/qmail-queue: what programs that speak qmail-queue's interface run (QMAILQUEUE wrappers, scripts).
 *  Never:  replaces a file of that name that is not ours. */
import { join } from 'node:path'
import type { Home } from '../../stores/home/layout.ts'
import { realFiles, replaceFile } from '../../system/files.ts'

const launcher = join(import.meta.dirname, '../../../bin/quaver')
const scriptBytesMax: number = 64 * 1024 * 1024
const ours = /^#!\/bin\/sh\nexec '[^\n]*' qmail-queue --home '[^\n]*'\n$/

export async function writeInjector(home: Home): Promise<void> {
  const path = join(home.bin, 'qmail-queue')
  const text = `#!/bin/sh\nexec ${quoted(launcher)} qmail-queue --home ${quoted(home.path)}\n`
  const present = (await realFiles.read(path, scriptBytesMax))?.toString('utf8')
  if (present === text || (present !== undefined && !ours.test(present))) return
  await replaceFile(realFiles, path, Buffer.from(text), 0o755)
}

/** For a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
