/** What people write beside control/: tcprules, users/assign, aliases, passwords; and what control files lack that another
 *  file promises.
 *  Fails:  what the caller may not read is not looked at; root sees all. */
import { rulesNames } from '../../contracts/services.ts'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type ByteString, fromBuffer, fromText, toText } from '../../base/byte-string.ts'
import { contentLines } from '../../protocols/qmail/control-format.ts'
import { parseDotQmail } from '../../protocols/qmail/dot-qmail.ts'
import { homeModeFault } from '../../protocols/qmail/home-modes.ts'
import { isWideKey } from '../../protocols/qmail/ip-key.ts'
import { parseRules, type Rule } from '../../protocols/qmail/tcprules.ts'
import { encodingFault } from '../../protocols/qmail/written-text.ts'
import type { Control } from '../../stores/control/control.ts'
import type { Surroundings } from '../../stores/control/form.ts'
import { type Finding, inspectLineEnds } from '../../stores/control/inspect.ts'
import { readCredentials } from '../../stores/credentials/credentials.ts'
import { missingHostAliases } from '../../stores/home/host-aliases.ts'
import type { Home } from '../../stores/home/layout.ts'
import { rulePaths } from '../../stores/tcprules/files.ts'
import { accessFault } from '../../system/access.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import type { HomeReaders } from './surroundings.ts'
import { inspectAssign, inspectOwnAliases } from './assign-check.ts'
import { inspectListeners } from './listen-check.ts'
import { programIn } from '../../protocols/qmail/program-line.ts'
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

async function inspectAliases(home: Home, readers: HomeReaders, surroundings: Surroundings): Promise<Finding[]> {
  const names = namesIn(home.alias)
  // Before its first start a home has none, and `start` makes them.
  if (names === undefined) return []
  const assigned = (textOf(join(home.users, 'assign')) ?? '').toLowerCase()
  const missing = (await missingHostAliases(realFiles, home).catch(() => [])).filter(
    (name) => !`\n${assigned}`.includes(`\n=${name}:`),
  )
  const mode = statSync(home.alias, { throwIfNoEntry: false })?.mode ?? 0
  const waits = homeModeFault(mode)
  return [
    ...(waits === undefined
      ? []
      : [
          {
            file: 'alias',
            line: undefined,
            fault: `makes mail wait: ${waits.peerText}`,
            remedy: `chmod o-w,-t ${home.alias}`,
          },
        ]),
    ...missing.map((name) => ({
      file: `alias/.qmail-${name}`,
      line: undefined,
      fault: `does not exist: mail for ${name} bounces`,
      remedy: `echo '&you@example.org' > ${join(home.alias, `.qmail-${name}`)}`,
    })),
    ...names
      .filter((name) => name.startsWith('.qmail'))
      .flatMap((name) => inspectDotQmail(home, name, readers, surroundings)),
  ]
}

function inspectDotQmail(home: Home, name: string, readers: HomeReaders, { programFault }: Surroundings): Finding[] {
  const file = `alias/${name}`
  const path = join(home.alias, name)
  const closed = accessFault(path, readers.reader('alias'), 'read')
  if (closed !== undefined) return [{ file, line: undefined, ...closed }]
  const facts = statSync(path)
  if ((facts.mode & 0o002) !== 0)
    return [{ file, line: undefined, fault: 'can be written by anybody: mail waits', remedy: `chmod o-w ${path}` }]
  const text = textOf(path)
  if (text === undefined) return []
  const unreadable = encodingFault(text)
  if (unreadable !== undefined)
    return [{ file, line: undefined, fault: unreadable, remedy: 'write it anew with a plain text editor' }]
  const instructions = parseDotQmail(text, (facts.mode & 0o100) !== 0)
  const refused = instructions.find(({ kind }) => kind === 'refuse')
  const faults: Finding[] = inspectLineEnds(text, file)
  if (/[A-Z.]/.test(name.slice('.qmail'.length)))
    faults.push({
      file,
      line: undefined,
      fault: 'is never looked for: names are asked for in lower case, with colons for dots',
      remedy: `mv ${path} ${join(home.alias, name.slice(0, 1) + name.slice(1).toLowerCase().replaceAll('.', ':'))}`,
    })
  for (const one of instructions) {
    const program = one.kind === 'program' ? programIn(one.command) : undefined
    const missing = program === undefined ? undefined : programFault(fromText(program), 'program')
    if (missing !== undefined) faults.push({ file, line: undefined, ...missing })
    if (one.kind !== 'maildir' || one.path.startsWith('/') || timeOf(join(home.alias, toText(one.path))) !== undefined)
      continue
    const fault = `leads to the Maildir ${toText(one.path)}, which does not exist: mail waits`
    faults.push({ file, line: undefined, fault, remedy: `make it as the account ${readers.reader('alias').account}` })
  }
  if (refused?.kind === 'refuse')
    faults.push({
      file,
      line: undefined,
      fault: `makes mail wait: ${refused.failure.peerText}`,
      remedy: 'mend the line, or the mode',
    })
  const blank = contentLines(text).find((one) => /^[ \t]/.test(one.text))
  if (blank !== undefined)
    faults.push({ file, line: blank.line, fault: 'begins with a blank', remedy: 'begin the line with & | . or /' })
  return faults
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

function namesIn(directory: string): string[] | undefined {
  try {
    return readdirSync(directory).sort()
  } catch {
    return undefined
  }
}

function timeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs
}
