/** `quaver control check`: reports faults in the files of a home that people write, with place and remedy, checked with the
 *  rights of the accounts that read them.
 *  Never:  reports anything about a correct home. */
import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fromBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { Control, controlBytesMax } from '../../stores/control/control.ts'
import { type Finding, inspectControlFile } from '../../stores/control/inspect.ts'
import { type ControlFile, controlFiles, type ControlName } from '../../stores/control/table.ts'
import type { Home } from '../../stores/home/layout.ts'
import { accessFault, type Reader } from '../../system/access.ts'
import { findAccount } from '../../system/accounts.ts'
import { realClock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { inspectHome } from './home-check.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { harmless, print, printJson, styled } from './output.ts'
import { type FindAccount, HomeReaders, surroundingsOf } from './surroundings.ts'
import { type StrangeNames, strangeNames } from './unread-names.ts'

export async function check(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const { findings, unread, others } = await inspect(home)
  if (findings.length > 0) process.exitCode = exitCode.failed
  if (options.json === true) return printJson({ home: home.path, findings, others, unread })
  for (const { file, line, fault, remedy } of findings) {
    print(harmless(`${file}${line === undefined ? '' : ` line ${line}`}`) + ` ${styled('red', harmless(fault))}`)
    print(`    ${harmless(remedy)}`)
  }
  for (const { file, there, here } of others) {
    print(`${styled('yellow', 'other')}   ${file} ${there}`)
    print(`    here: ${here}`)
  }
  for (const name of unread) print(`${styled('yellow', 'unread')}  ${harmless(name)}: no program reads this file`)
  if (findings.length > 0) print(`${findings.length} of these in ${home.path}`)
  else print(`${styled('green', 'ok')}      ${home.path}: every file that is read can be read, and means something`)
}

/** `unread`: names that resemble none of ours; `others`: what other qmails read. */
export async function inspect(
  home: Home,
  find: FindAccount = findAccount,
): Promise<{ readonly findings: Finding[] } & Omit<StrangeNames, 'misspelt'>> {
  const control = new Control(home.control, realClock)
  const readers = await HomeReaders.of(home, control, find)
  const surroundings = await surroundingsOf(home, control, readers, find)
  const names = Object.keys(controlFiles) as ControlName[]
  const { misspelt, ...strange } = strangeNames(namesIn(home.control), names)
  const findings = [
    ...(isThere(join(home.control, 'me')) ? [] : [missingMe(home)]),
    ...names.flatMap((name) => {
      const read = readControlFile(home, name, readers.ofPrograms(controlFiles[name].readBy))
      return typeof read === 'string' ? inspectControlFile(name, read, surroundings) : read
    }),
    ...misspelt,
    ...(await inspectHome(home, control, readers, surroundings)),
  ]
  return { findings, ...strange }
}

function missingMe(home: Home): Finding {
  const remedy = `write this host's name there: hostname -f > ${home.control}/me`
  return { file: 'control/me', line: undefined, fault: 'does not exist: nothing starts', remedy }
}

/** Its text, or why a program that should read it cannot; empty if it is absent. */
function readControlFile(home: Home, name: ControlName, readers: readonly Reader[]): string | Finding[] {
  const path = join(home.control, name)
  const finding = (fault: string, remedy: string): Finding[] => [
    { file: `control/${name}`, line: undefined, fault, remedy },
  ]
  try {
    const facts = statSync(path)
    const { secret }: ControlFile = controlFiles[name]
    if (!facts.isFile()) return finding('is no file', `move it away: mv ${path} ${path}.old`)
    if (facts.size > controlBytesMax) return finding(`has ${facts.size} bytes, limit ${controlBytesMax}`, 'shorten it')
    if (secret === true && (facts.mode & 0o077) !== 0)
      return finding('holds secrets and can be read by others: it is not read', `chmod 600 ${path}`)
    if ((facts.mode & 0o002) !== 0) return finding('can be written by anybody', `chmod o-w ${path}`)
    for (const reader of readers) {
      const fault = accessFault(path, reader, 'read')
      if (fault === undefined) continue
      const own = `chown ${reader.account} ${path} && chmod 600 ${path}`
      return finding(fault.fault, secret === true ? own : fault.remedy)
    }
    return fromBuffer(readFileSync(path))
  } catch (error) {
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true)
      return finding(`is a link that leads nowhere: ${describeError(error)}`, `mend or remove it: ls -l ${path}`)
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return []
    return finding(`cannot be read: ${describeError(error)}`, 'ask as root, or mend it')
  }
}

/** Of control/ and its directories that we know, by their paths below it. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).flatMap((name) =>
      name === 'greylist' || name === 'tcprules'
        ? namesIn(join(directory, name)).map((one) => `${name}/${one}`)
        : [name],
    )
  } catch (error) {
    throw new CommandError(`${directory}: ${describeError(error)}`)
  }
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}
