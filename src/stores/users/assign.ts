/** qmail-newu: compiles HOME/users/assign to HOME/users/cdb. A reader sees the old file or the new one, also after a crash.
 *  Fails:  an Outcome with qmail-newu's text (without `qmail-newu: fatal: `); the old cdb stays. */
import { join } from 'node:path'
import { fromBuffer } from '../../base/byte-string.ts'
import { describeError, done, failed, type Outcome, plainFailure } from '../../base/outcome.ts'
import { CdbWriter } from '../../protocols/qmail/cdb.ts'
import { type AssignResult, parseAssign } from '../../protocols/qmail/users-assign.ts'
import { type Files, realFiles, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

export const assignBytesMax: number = 256 * 1024 * 1024
const cdbMode = 0o644

/** The log text names the line. */
export async function compileAssign(
  home: Home,
  files: Files = realFiles,
): Promise<Outcome<{ readonly records: number }>> {
  const assign = await readAssign(home, files)
  if (!assign.done) return assign
  const parsed = assign.value
  if (!parsed.ok) {
    const text = 'bad format in users/assign'
    return failed(plainFailure(5, '3.5', text, `${text}: line ${parsed.line} ${parsed.reason}`))
  }
  const writer = new CdbWriter()
  for (const { key, data } of parsed.records) writer.add(key, data)
  try {
    await replaceFile(files, join(home.users, 'cdb'), writer.finish(), cdbMode)
  } catch (error) {
    return failed(
      plainFailure(4, '3.5', 'unable to write users/cdb.tmp', `unable to write users/cdb: ${describeError(error)}`),
    )
  }
  return done({ records: parsed.records.length - 1 })
}

/** If users/cdb is missing and users/assign exists, compiles it. Undefined: there was nothing to do. */
export async function restoreCdb(
  home: Home,
  files: Files = realFiles,
): Promise<Awaited<ReturnType<typeof compileAssign>> | undefined> {
  const [cdb, assign] = await Promise.all(['cdb', 'assign'].map((name) => files.facts(join(home.users, name))))
  return cdb === undefined && assign !== undefined ? await compileAssign(home, files) : undefined
}

/** Reads and checks users/assign, without writing anything. */
export async function readAssign(home: Home, files: Files = realFiles): Promise<Outcome<AssignResult>> {
  try {
    const text = await files.read(join(home.users, 'assign'), assignBytesMax)
    if (text === undefined)
      return failed(
        plainFailure(5, '3.5', 'unable to open users/assign', 'unable to open users/assign: file does not exist'),
      )
    return done(parseAssign(fromBuffer(text)))
  } catch (error) {
    return failed(
      plainFailure(4, '3.5', 'unable to read users/assign', `unable to read users/assign: ${describeError(error)}`),
    )
  }
}
