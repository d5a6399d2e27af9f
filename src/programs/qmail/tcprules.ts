/** tcprules(1), tcprulescheck(1): compile and query tcpserver's rules. */
import { readFileSync, renameSync } from 'node:fs'
import { toText } from '../../base/byte-string.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { parseRules } from '../../protocols/qmail/tcprules.ts'
import { decideByRules } from '../../protocols/qmail/tcprules-lookup.ts'
import { cdbOf, rulesBytesMax } from '../../stores/tcprules/compile.ts'
import { openRules } from '../../stores/tcprules/rules-file.ts'
import { errorCode, realFiles, replaceFile } from '../../system/files.ts'
import { type Call, exit, Fatal } from './call.ts'

const cdbMode = 0o644

/** Compiles the rules on descriptor 0 to the file CDB, by way of TMP in the same directory. */
export async function tcprules(call: Call): Promise<number> {
  const [cdb, temporary] = call.args.map(toText)
  if (cdb === undefined || temporary === undefined)
    throw new Fatal(exit.permanent, 'tcprules: usage: tcprules rules.cdb rules.tmp')
  const parsed = parseRules(readText(call))
  const [fault] = parsed.faults
  if (fault !== undefined)
    throw new Fatal(
      exit.permanent,
      `tcprules: fatal: unable to parse this line: ${fault.text}\ntcprules: line ${fault.line} ${fault.reason}`,
    )
  try {
    await replaceFile(realFiles, temporary, cdbOf(parsed), cdbMode)
    renameSync(temporary, cdb)
  } catch (error) {
    throw new Fatal(exit.temporary, `tcprules: fatal: unable to create ${cdb}: ${errnoText(errorCode(error))}`)
  }
  return exit.ok
}

function readText(call: Call): string {
  let text = ''
  for (const bytes of call.input()) {
    text += bytes.toString('latin1')
    if (text.length > rulesBytesMax)
      throw new Fatal(exit.permanent, `tcprules: fatal: more than ${rulesBytesMax} bytes of rules`)
  }
  return text
}

/** Prints the rule of CDB for the peer in the environment (TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO). */
export function tcprulescheck(call: Call): number {
  const [cdb] = call.args.map(toText)
  if (cdb === undefined) throw new Fatal(exit.permanent, 'tcprulescheck: usage: tcprulescheck rules.cdb')
  const ip = call.variables.get('TCPREMOTEIP') ?? ''
  const peer = { ip, host: call.variables.get('TCPREMOTEHOST'), info: call.variables.get('TCPREMOTEINFO') }
  try {
    const { key, verdict, variables } = decideByRules(openRules(readFileSync(cdb)), peer)
    call.out(key === undefined ? 'default:\n' : `rule ${key}:\n`)
    for (const [name, value] of variables) call.out(`set environment variable ${name}=${value}\n`)
    call.out(`${verdict} connection\n`)
  } catch (error) {
    throw new Fatal(exit.temporary, `tcprulescheck: fatal: unable to read ${cdb}: ${errnoText(errorCode(error))}`)
  }
  return exit.ok
}
