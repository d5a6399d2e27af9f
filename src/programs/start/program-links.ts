/** HOME/bin: quaver and qmail's programs, each a link to the launcher, for scripts, wrappers and `.qmail` files.
 *  Never:  replaces something of that name that is not ours. */
import { lstatSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Home } from '../../stores/home/layout.ts'
import { qmailPrograms } from '../../stores/installation/qmail-programs.ts'
import { errorCode } from '../../system/files.ts'

const launcher = join(import.meta.dirname, '../../../bin/quaver')
const scriptBytesMax = 8192
/** The script that qmail-queue was in earlier versions. */
const formerScript = /^#!\/bin\/sh\nexec '[^\n]*' qmail-queue --home '[^\n]*'\n$/

export function linkPrograms(home: Home): void {
  for (const name of ['quaver', ...qmailPrograms]) {
    const path = join(home.bin, name)
    if (!mayReplace(path)) continue
    const temporary = join(home.bin, `.${name}.${process.pid}.new`)
    rmSync(temporary, { force: true })
    symlinkSync(launcher, temporary)
    renameSync(temporary, path)
  }
}

/** It is absent, or ours but out of date. */
function mayReplace(path: string): boolean {
  try {
    const facts = lstatSync(path)
    if (facts.isSymbolicLink()) {
      const target = readlinkSync(path)
      return target !== launcher && target.endsWith('/bin/quaver')
    }
    return facts.isFile() && facts.size <= scriptBytesMax && formerScript.test(readFileSync(path, 'utf8'))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return true
    throw error
  }
}
