/** What is done with addresses in a session: control/rewrite or what stands for it, and the person's own rules.
 *  Fails:  an Outcome: a file that is there and cannot be used is not passed over. */
import type { ByteString } from '../../../base/byte-string.ts'
import { toText } from '../../../base/byte-string.ts'
import { describeError, done, type Failure, failed, type Outcome, transient } from '../../../base/outcome.ts'
import {
  defaultRewriting,
  type Instruction,
  parseRewriting,
  rewriteHost,
} from '../../../protocols/submission/rewriting.ts'
import { CdbReader } from '../../../protocols/qmail/cdb.ts'
import type { Control } from '../../../stores/control/control.ts'
import { type Clock, within } from '../../../system/clock.ts'
import { type Files, realFiles } from '../../../system/files.ts'

/** Below the home, as ofmipd-with-user-cdb looks for it. */
const ownRulesName = '.ofmipd/rules.cdb'
const ownRulesBytesMax: number = 16 * 1024 * 1024
const ownRulesMillisecondsMax = 10_000

export interface Rewriting {
  readonly instructions: readonly Instruction[]
  readonly idhost: ByteString
}

export function readRewriting(control: Control): Outcome<Rewriting> {
  const instructions = readInstructions(control)
  if (!instructions.done) return instructions
  const idhost = rewriteHost(control.line('idhost'), instructions.value)
  return done({ instructions: instructions.value, idhost })
}

function readInstructions(control: Control): Outcome<readonly Instruction[]> {
  const text = control.text('rewrite')
  if (text === undefined) {
    const [defaulthost, defaultdomain] = [control.line('defaulthost'), control.line('defaultdomain')]
    return done(defaultRewriting({ defaulthost, defaultdomain, plusdomain: control.line('plusdomain') }))
  }
  const parsed = parseRewriting(text)
  if (parsed.valid) return done(parsed.instructions)
  const logText = `control/rewrite: line ${parsed.line} does not begin with one of = * ? - or has no colon; nobody is served`
  return failed(transient('3.0', 'unable to read controls', logText))
}

/** Undefined: the person has none. */
export async function readOwnRules(
  home: ByteString,
  clock: Clock,
  files: Files = realFiles,
): Promise<Outcome<CdbReader | undefined>> {
  const path = `${toText(home)}/${ownRulesName}`
  try {
    return done(await within(clock, ownRulesMillisecondsMax, path, read(files, path)))
  } catch (error) {
    return failed(ownRulesTrouble(`${path}: ${describeError(error)}`))
  }
}

export function ownRulesTrouble(logText: string): Failure {
  return transient('3.0', 'unable to read your rules.cdb', logText)
}

async function read(files: Files, path: string): Promise<CdbReader | undefined> {
  const facts = await files.facts(path)
  if (facts === undefined) return undefined
  // A pipe would be waited for.
  if (facts.kind !== 'file') throw new Error('not a file')
  const bytes = await files.read(path, ownRulesBytesMax)
  return bytes === undefined ? undefined : new CdbReader(bytes)
}
