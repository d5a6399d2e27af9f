/** What tcprules(1) does: compiles control/tcprules/NAME to NAME.cdb. A reader sees the old file or the new one, also after a
 *  crash; with any fault the old one stays.
 *  Fails:  an Outcome that names the faulty lines. */
import type { RulesName } from '../../contracts/services.ts'
import { type ByteString, fromBuffer, toText } from '../../base/byte-string.ts'
import { describeError, done, failed, type Outcome, plainFailure } from '../../base/outcome.ts'
import { CdbWriter } from '../../protocols/qmail/cdb.ts'
import { encodeInstructions, type IdleLine, type ParsedRules, parseRules } from '../../protocols/qmail/tcprules.ts'
import { type Files, realFiles, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'
import { rulePaths } from './files.ts'

export const rulesBytesMax: number = 64 * 1024 * 1024
const cdbMode = 0o644
const faultsShownMax = 5

export interface Compiled {
  readonly rules: number
  /** Lines that match no peer. */
  readonly idle: readonly IdleLine[]
}

/** Undefined: there is no source. */
export async function compileRules(
  home: Pick<Home, 'control'>,
  service: RulesName,
  files: Files = realFiles,
): Promise<Outcome<Compiled> | undefined> {
  const { source, cdb, name } = rulePaths(home, service)
  try {
    const text = await files.read(source, rulesBytesMax)
    if (text === undefined) return undefined
    const parsed = parseRules(fromBuffer(text))
    if (parsed.faults.length > 0)
      return failed(plainFailure(5, '3.5', 'bad tcprules', `${name}: ${describeFaults(parsed)}`))
    await replaceFile(files, cdb, cdbOf(parsed), cdbMode)
    return done({ rules: parsed.rules.length, idle: parsed.idle })
  } catch (error) {
    return failed(
      plainFailure(4, '3.5', 'tcprules cannot be compiled', `${name} cannot be compiled: ${describeError(error)}`),
    )
  }
}

export function cdbOf({ rules }: ParsedRules): Buffer {
  const writer = new CdbWriter()
  for (const rule of rules) {
    const data = encodeInstructions(rule)
    for (const key of rule.keys) writer.add(key, data)
  }
  return writer.finish()
}

function describeFaults({ faults }: ParsedRules): string {
  const shown = faults
    .slice(0, faultsShownMax)
    .map(({ line, text, reason }) => `line ${line} ${reason}: ${quote(text)}`)
  const more = faults.length - shown.length
  return `${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`
}

function quote(text: ByteString): string {
  return JSON.stringify(toText(text))
}
