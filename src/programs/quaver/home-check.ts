/** What people write beside control/: tcprules, users/assign, aliases, passwords; and what control files lack that another
 *  file promises.
 *  Fails:  what the caller may not read is not looked at; root sees all. */
import { readersOfRules, rulesNames } from '../../contracts/services.ts'
import { readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type ByteString, fromBuffer, toText } from '../../base/byte-string.ts'
import { isWideKey } from '../../protocols/qmail/ip-key.ts'
import { parseRules, type Rule } from '../../protocols/qmail/tcprules.ts'
import type { Control } from '../../stores/control/control.ts'
import type { Surroundings } from '../../stores/control/form.ts'
import { type Finding, inspectLineEnds } from '../../stores/control/inspect.ts'
import { readCredentials } from '../../stores/credentials/credentials.ts'
import type { Home } from '../../stores/home/layout.ts'
import { type RulePaths, rulePaths } from '../../stores/tcprules/files.ts'
import { accessFault, type Reader } from '../../system/access.ts'
import { realClock } from '../../system/clock.ts'
import type { HomeReaders } from './surroundings.ts'
import { inspectAssign, inspectOwnAliases } from './assign-check.ts'
import { inspectAliases } from './alias-check.ts'
import { inspectListeners } from './listen-check.ts'
import { inspectTls } from './tls-check.ts'

export async function inspectHome(
  home: Home,
  control: Control,
  readers: HomeReaders,
  surroundings: Surroundings,
): Promise<Finding[]> {
  return [
    ...inspectDomains(control, surroundings),
    ...inspectMoreHosts(home),
    ...inspectSrs(home, control),
    ...rulesNames.flatMap((service) =>
      inspectCompiled(rulePaths(home, service), readers.ofPrograms(readersOfRules(service))),
    ),
    ...rulesNames.flatMap((service) => inspectRules(home, rulePaths(home, service))),
    ...inspectAssign(home, control, readers.isDemo),
    ...(await inspectOwnAliases(home)),
    ...inspectListeners(control, readers.isDemo),
    ...(await inspectAliases(home, readers, surroundings)),
    ...(await inspectPasswords(home)),
    ...(await inspectTls(home, control.optionalLine('me'), realClock.now())),
  ]
}

/** Without control/locals the host's own name is local. */
function inspectDomains(control: Control, { locals, isAccepted }: Surroundings): Finding[] {
  if (control.isPresent('locals')) return []
  return [...locals]
    .filter((domain) => !isAccepted(domain))
    .map((domain) => {
      const fault = `does not have ${toText(domain)} (control/me), which is delivered here: mail for it from elsewhere gets 553`
      return { file: 'control/rcpthosts', line: undefined, fault, remedy: 'add the name' }
    })
}

function inspectMoreHosts(home: Home): Finding[] {
  const source = timeOf(join(home.control, 'morercpthosts'))
  const cdb = timeOf(join(home.control, 'morercpthosts.cdb'))
  if (source === undefined || cdb === undefined || cdb >= source) return []
  const fault = 'is newer than morercpthosts.cdb, which is read'
  const remedy = 'compile it with qmail-newmrh, or remove morercpthosts.cdb: then the file itself is read'
  return [{ file: 'control/morercpthosts', line: undefined, fault, remedy }]
}

function inspectSrs(home: Home, control: Control): Finding[] {
  const secrets = join(home.control, 'srs_secrets')
  if (!control.isPresent('srs_domain') || timeOf(secrets) !== undefined) return []
  const fault = 'is there without control/srs_secrets: what is to be forwarded to other hosts waits'
  const remedy = `write a secret that only the queue reads: (umask 077; openssl rand -hex 16 > ${secrets}), as its account; or remove srs_domain`
  return [{ file: 'control/srs_domain', line: undefined, fault, remedy }]
}

/** What the listener reads; `start` compiles it. */
function inspectCompiled({ cdb, name }: RulePaths, readers: readonly Reader[]): Finding[] {
  if (timeOf(cdb) === undefined) return []
  const [fault] = readers.map((reader) => accessFault(cdb, reader, 'read')).filter((one) => one !== undefined)
  return fault === undefined ? [] : [{ file: `${name}.cdb`, line: undefined, ...fault }]
}

function inspectRules(home: Home, { source, name }: { readonly source: string; readonly name: string }): Finding[] {
  const text = textOf(source)
  if (text === undefined) return []
  const { faults, idle, rules } = parseRules(text)
  const seen = new Map<ByteString, number>()
  const repeated = rules.flatMap(({ line, keys }) => {
    const key = keys.find((one) => seen.has(one))
    for (const one of keys) if (!seen.has(one)) seen.set(one, line)
    return key === undefined ? [] : [{ line, first: seen.get(key) }]
  })
  return [
    ...inspectLineEnds(text, name),
    ...rules.flatMap((rule) => inspectVariables(home, name, rule)),
    ...rules.filter(letsEverybodyRelay).map(({ line }) => {
      const fault = 'sets RELAYCLIENT for everybody: an open relay, which is found and listed within hours'
      return { file: name, line, fault, remedy: 'set it for your own addresses only, as 192.0.2.:allow,RELAYCLIENT=""' }
    }),
    ...faults.map(({ line, reason }) => {
      return {
        file: name,
        line,
        fault: `${reason}: none of the rules is taken`,
        remedy: 'write ADDRESS:allow or ADDRESS:deny',
      }
    }),
    ...idle.map(({ line, reason }) => ({ file: name, line, fault: reason, remedy: 'mend it, or put a # in front' })),
    ...repeated.map(({ line, first }) => {
      return {
        file: name,
        line,
        fault: `is about whom line ${first} is about, and that one counts`,
        remedy: 'keep one',
      }
    }),
  ]
}

/** `:`, `=:` (whoever has a name) and networks that are most of the world. */
function letsEverybodyRelay({ verdict, variables, keys }: Rule): boolean {
  const isEverybody = (key: ByteString): boolean => key === '' || key === '=' || isWideKey(key)
  return verdict === 'allow' && keys.some(isEverybody) && variables.some(([variable]) => variable === 'RELAYCLIENT')
}

/** Variables that name a program or a file, by path. */
const namingVariables = new Set(['QMAILQUEUE', 'QQF_QMAILQUEUE', 'QMAILQUEUEFILTERS', 'RCPTCHECK', 'SPPCONFFILE'])

function inspectVariables(home: Home, file: string, { line, variables }: Rule): Finding[] {
  return variables
    .filter(([variable, value]) => namingVariables.has(variable) && value.includes('/'))
    .filter(([, value]) => timeOf(resolve(home.path, toText(value))) === undefined)
    .map(([variable, value]) => {
      const fault = `sets ${variable} to ${toText(value)}, which does not exist`
      return { file, line, fault, remedy: 'mend the path, or take the variable out' }
    })
}

async function inspectPasswords(home: Home): Promise<Finding[]> {
  const file = 'auth/passwd'
  try {
    const { faults } = await readCredentials(home)
    return faults.map((text) => {
      const [, line, reason] = /^line ([0-9]+): (.*)$/.exec(text) ?? []
      return { file, line: Number(line), fault: reason ?? text, remedy: 'set it anew: quaver account password' }
    })
  } catch {
    return []
  }
}

function textOf(path: string): ByteString | undefined {
  try {
    return fromBuffer(readFileSync(path))
  } catch {
    return undefined
  }
}

function timeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs
}
