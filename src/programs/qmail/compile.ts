/** qmail-newu(8), qmail-newmrh(8): compile text that people write into the database that programs read. A reader sees the old
 *  one or the new one, also after a crash. */
import { join } from 'node:path'
import { type ByteString, fromBuffer, lowerAscii } from '../../base/byte-string.ts'
import { CdbWriter } from '../../protocols/qmail/cdb.ts'
import { parseList } from '../../protocols/qmail/control-format.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { encodingFault } from '../../protocols/qmail/written-text.ts'
import { compileAssign } from '../../stores/users/assign.ts'
import { errorCode, realFiles, replaceFile } from '../../system/files.ts'
import { type Call, exit, Fatal } from './call.ts'

const hostsBytesMax: number = 64 * 1024 * 1024
const cdbMode = 0o644

export async function newu(call: Call): Promise<number> {
  const compiled = await compileAssign(call.home())
  if (compiled.done) return exit.ok
  // qmail's words, then ours, which name the line.
  throw new Fatal(exit.temporary, `qmail-newu: fatal: ${compiled.failure.logText}`)
}

export async function newmrh(call: Call): Promise<number> {
  const { control } = call.home()
  const text = await readHosts(join(control, 'morercpthosts'))
  const fault = encodingFault(text)
  if (fault !== undefined) throw new Fatal(exit.temporary, `qmail-newmrh: fatal: control/morercpthosts ${fault}`)
  const writer = new CdbWriter()
  for (const host of parseList(text)) writer.add(lowerAscii(host), '')
  await orFatal('write to control/morercpthosts.cdb', () =>
    replaceFile(realFiles, join(control, 'morercpthosts.cdb'), writer.finish(), cdbMode),
  )
  return exit.ok
}

async function readHosts(path: string): Promise<ByteString> {
  const bytes = await orFatal('read control/morercpthosts', () => realFiles.read(path, hostsBytesMax))
  if (bytes !== undefined) return fromBuffer(bytes)
  throw new Fatal(exit.temporary, 'qmail-newmrh: fatal: unable to read control/morercpthosts: file does not exist')
}

async function orFatal<T>(attempted: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = errorCode(error)
    if (code === '') throw error
    throw new Fatal(exit.temporary, `qmail-newmrh: fatal: unable to ${attempted}: ${errnoText(code)}`)
  }
}
