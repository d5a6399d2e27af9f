/** Maildirs with files of given names, and what a POP3 session sees of them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Maildrop, type MaildropMachine, openMaildrop } from '../../src/stores/maildir/maildrop.ts'
import { type Clock, realClock } from '../../src/system/clock.ts'
import { quickFiles } from '../../src/system/quick-files.ts'

export async function makeMaildir(test: TestContext, names: readonly string[] = []): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'quaver-maildrop-'))
  test.after(() => rm(directory, { recursive: true }))
  const maildir = `${directory}/Maildir/`
  for (const part of ['cur', 'new', 'tmp']) await mkdir(maildir + part, { recursive: true })
  for (const name of names) await writeFile(maildir + name, 'a: b\n\n')
  return maildir
}

export const machine: MaildropMachine = { files: quickFiles, clock: realClock }

export async function idsIn(maildir: string, clock: Clock = realClock): Promise<string[]> {
  const maildrop = await openMaildrop({ files: quickFiles, clock }, maildir)
  return Array.from({ length: maildrop.count }, (_, index) => maildrop.uniqueId(index))
}

export async function contentOf(maildrop: Maildrop, index: number): Promise<string | undefined> {
  const message = await maildrop.openMessage(index)
  if (message === undefined) return undefined
  const buffer = Buffer.alloc(100)
  const count = await message.read(buffer, 0)
  message.close()
  return buffer.toString('latin1', 0, count)
}
