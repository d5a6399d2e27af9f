/** `quaver ofmipname`: a person's rules, `key:name:address:` on standard input, become the CDB that submission reads.
 *  A reader sees the old file or the new one, also after a crash. Exit codes are qmail's: 100 usage, 111 anything else. */
import { dirname } from 'node:path'
import { fromBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { compileSenderRules } from '../../protocols/submission/sender-rules.ts'
import { encodingFault } from '../../protocols/qmail/written-text.ts'
import { type Files, realFiles } from '../../system/files.ts'
import { CommandError, exitCode } from './exit.ts'
import { readDescriptor } from '../../system/input-spool.ts'

/** Submission reads no larger database. */
const textBytesMax: number = 8 * 1024 * 1024
/** umask 033, as in qmail. */
const cdbMode = 0o644

export async function ofmipname(
  files: readonly string[],
  input: AsyncIterable<Buffer> = readDescriptor(0),
): Promise<void> {
  const [cdb, temporary, more] = files
  if (cdb === undefined || temporary === undefined || more !== undefined)
    throw new CommandError('usage: quaver ofmipname rules.cdb rules.tmp', exitCode.permanent)
  try {
    const text = fromBuffer(await readAll(input))
    const fault = encodingFault(text)
    if (fault !== undefined) throw new Error(`the text ${fault}`)
    const compiled = compileSenderRules(text)
    await replace(realFiles, cdb, temporary, compiled.cdb)
  } catch (error) {
    throw new CommandError(`ofmipname: ${cdb} is as it was: ${describeError(error)}`, exitCode.temporary)
  }
}

async function readAll(input: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of input) {
    bytes += chunk.length
    if (bytes > textBytesMax) throw new Error(`more than ${textBytesMax} bytes of rules`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The caller names the temporary file: it must be on the same file system. */
async function replace(files: Files, path: string, temporary: string, content: Buffer): Promise<void> {
  await files.remove(temporary)
  const file = await files.create(temporary, cdbMode)
  try {
    await file.write([content])
    await file.sync()
  } finally {
    await file.close()
  }
  await files.rename(temporary, path)
  await files.syncDirectory(dirname(path))
}
