/** Gives a file another name in the same Maildir.
 *  Never:  replaces a file, as rename() does: two messages may get the same name, and both must stay.
 *  Fails:  throws as Node does, EEXIST if the name is taken; the file then has the name it had. */
import type { ByteString } from '../../base/byte-string.ts'
import { errorCode } from '../../system/files.ts'
import type { QuickFiles } from '../../system/quick-files.ts'

const withoutLinks: ReadonlySet<string> = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS'])

/** True: the file has both names now; the caller removes the old one once the new one survives a power cut. */
export function giveName(files: QuickFiles, from: ByteString, to: ByteString): boolean {
  try {
    files.link(from, to)
    return true
  } catch (error) {
    if (!withoutLinks.has(errorCode(error))) throw error
  }
  // Without links, looking first is the best that can be done.
  if (files.factsOfEntry(to) !== undefined) throw Object.assign(new Error(`${to} is there`), { code: 'EEXIST' })
  files.rename(from, to)
  return false
}
