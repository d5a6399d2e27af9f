/** maildirmake(1): one new Maildir, for the caller alone. */
import { mkdirSync } from 'node:fs'
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { errorCode } from '../../system/files.ts'
import { type Call, exit, Fatal } from './call.ts'

export function maildirmake({ args }: Call): number {
  const [maildir] = args
  if (maildir === undefined) throw new Fatal(exit.permanent, 'maildirmake: usage: maildirmake name')
  make(maildir)
  for (const name of ['tmp', 'new', 'cur']) make(`${maildir}/${name}`)
  return exit.ok
}

function make(path: ByteString): void {
  try {
    mkdirSync(toBuffer(path), { mode: 0o700 })
  } catch (error) {
    throw new Fatal(exit.temporary, `maildirmake: fatal: unable to mkdir ${path}: ${errnoText(errorCode(error))}`)
  }
}
