/** Lines of control/dkimdomains, changed by commands: every other line stays unchanged, to the byte.
 *  Fails:  as reading and replacing a file does; AccountError if another command is changing the directory. */
import { join } from 'node:path'
import { type ByteString, fromBuffer, lowerAscii, toBuffer } from '../../base/byte-string.ts'
import { withoutLines } from '../../protocols/qmail/written-text.ts'
import { lockDirectory } from '../home/directory-lock.ts'
import type { Home } from '../home/layout.ts'
import { type Files, replaceFile } from '../../system/files.ts'

const fileBytesMax: number = 16 * 1024 * 1024

/** Empty: the domain's line is removed. */
export async function setSelectors(
  files: Files,
  home: Home,
  domain: ByteString,
  selectors: readonly ByteString[],
): Promise<void> {
  const path = join(home.control, 'dkimdomains')
  const unlock = await lockDirectory(home.control)
  try {
    const bytes = await files.read(path, fileBytesMax)
    const text = bytes === undefined ? '' : fromBuffer(bytes)
    const rest = withoutLines(text, (line) => lowerAscii(line).startsWith(`${domain}:`))
    const ended = rest === '' || rest.endsWith('\n') ? rest : `${rest}\n`
    const line = selectors.length === 0 ? '' : `${domain}:${selectors.join(',')}\n`
    if (ended + line !== text) await replaceFile(files, path, toBuffer(ended + line), 0o644)
  } finally {
    await unlock()
  }
}
