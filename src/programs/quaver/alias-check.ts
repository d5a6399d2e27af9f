/** What `quaver control check` finds in alias/: files that mail waits for, and lines that lead nowhere.
 *  Fails:  what the caller may not look at is not looked at; root sees all. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type ByteString, fromBuffer, fromText, toText } from '../../base/byte-string.ts'
import { contentLines } from '../../protocols/qmail/control-format.ts'
import { parseDotQmail } from '../../protocols/qmail/dot-qmail.ts'
import { homeModeFault } from '../../protocols/qmail/home-modes.ts'
import { programIn } from '../../protocols/qmail/program-line.ts'
import { encodingFault } from '../../protocols/qmail/written-text.ts'
import type { LineFault, Surroundings } from '../../stores/control/form.ts'
import { type Finding, inspectLineEnds } from '../../stores/control/inspect.ts'
import { isForward } from '../../stores/control/line-checks.ts'
import { missingHostAliases } from '../../stores/home/host-aliases.ts'
import type { Home } from '../../stores/home/layout.ts'
import { accessFault } from '../../system/access.ts'
import { realFiles } from '../../system/files.ts'
import { isLeftBehind } from './unread-names.ts'
import type { HomeReaders } from './surroundings.ts'

export async function inspectAliases(home: Home, readers: HomeReaders, surroundings: Surroundings): Promise<Finding[]> {
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
      .filter((name) => name.startsWith('.qmail') && !isLeftBehind(name))
      .flatMap((name) => inspectDotQmail(home, name, readers, surroundings)),
  ]
}

function inspectDotQmail(home: Home, name: string, readers: HomeReaders, surroundings: Surroundings): Finding[] {
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
  const refused = parseDotQmail(text, (facts.mode & 0o100) !== 0).find(({ kind }) => kind === 'refuse')
  const faults: Finding[] = inspectLineEnds(text, file)
  if (/[A-Z.]/.test(name.slice('.qmail'.length)))
    faults.push({
      file,
      line: undefined,
      fault: 'is never looked for: names are asked for in lower case, with colons for dots',
      remedy: `mv ${path} ${join(home.alias, name.slice(0, 1) + name.slice(1).toLowerCase().replaceAll('.', ':'))}`,
    })
  for (const { line, text: written } of contentLines(text))
    faults.push(...lineFaults(home, written, readers, surroundings).map((fault) => ({ file, line, ...fault })))
  if (refused?.kind === 'refuse')
    faults.push({
      file,
      line: undefined,
      fault: `makes mail wait: ${refused.failure.peerText}`,
      remedy: 'mend the line, or the mode',
    })
  return faults
}

function lineFaults(home: Home, line: ByteString, readers: HomeReaders, surroundings: Surroundings): LineFault[] {
  if (/^[ \t]/.test(line)) return [{ fault: 'begins with a blank', remedy: 'begin the line with & | . or /' }]
  const [one] = parseDotQmail(line, false)
  if (one?.kind === 'forward') return listed(isForward(one.address, surroundings, []))
  if (one?.kind === 'program') {
    const program = programIn(one.command)
    return program === undefined ? [] : listed(surroundings.programFault(fromText(program), 'program'))
  }
  if (one?.kind !== 'maildir' || one.path.startsWith('/') || isThere(join(home.alias, toText(one.path)))) return []
  const fault = `leads to the Maildir ${toText(one.path)}, which does not exist: mail waits`
  return [{ fault, remedy: `make it as the account ${readers.reader('alias').account}` }]
}

function listed(fault: LineFault | undefined): LineFault[] {
  return fault === undefined ? [] : [fault]
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
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
