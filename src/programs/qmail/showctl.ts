/** qmail-showctl(8): prints every control file in qmail's form, with the descriptions of our table. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fromBuffer, fromText } from '../../base/byte-string.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { writtenLines } from '../../protocols/qmail/written-text.ts'
import { controlBytesMax } from '../../stores/control/control.ts'
import { type ControlFile, controlFiles } from '../../stores/control/table.ts'
import { errorCode, readSmallFile } from '../../system/files.ts'
import { type Call, exit, Fatal } from './call.ts'

export function showctl(call: Call): number {
  const home = call.home()
  call.out(`qmail home directory: ${fromText(home.path)}.\n`)
  let present: readonly string[]
  try {
    present = readdirSync(home.control)
  } catch (error) {
    throw new Fatal(exit.temporary, `qmail-showctl: fatal: unable to read control: ${errnoText(errorCode(error))}`)
  }
  const known = new Map<string, ControlFile>(Object.entries(controlFiles))
  for (const [name, file] of known) call.out(describe(home.control, name, file))
  // Skips databases and rules, which are no control files of the table.
  for (const name of present.toSorted())
    if (!known.has(name) && name !== 'morercpthosts.cdb' && name !== 'tcprules')
      call.out(`\n${fromText(name)}: I have no idea what this file does.\n`)
  return exit.ok
}

function describe(control: string, name: string, file: ControlFile): string {
  let bytes: Buffer | undefined
  try {
    bytes = readSmallFile(join(control, name), controlBytesMax)
  } catch (error) {
    return `\n${name}: Oops! Unable to read it: ${errnoText(errorCode(error))}.\n`
  }
  const meaning = `${file.meaning}.`
  if (bytes === undefined) return `\n${name}: (Default.) ${meaning}${fallbackText(file)}\n`
  const lines = file.secret === true ? ['(secret)'] : writtenLines(fromBuffer(bytes))
  return `\n${name}: ${meaning}\n${lines.map((line) => `${line}\n`).join('')}`
}

function fallbackText({ fallback }: ControlFile): string {
  return fallback === undefined ? '' : ` It is ${fallback}.`
}
