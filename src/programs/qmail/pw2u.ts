/** qmail-pw2u(8): converts passwd(5) on descriptor 0 to users/assign on descriptor 1. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { errnoText, isTemporaryErrno } from '../../protocols/qmail/errno-text.ts'
import { writtenLines } from '../../protocols/qmail/written-text.ts'
import { type Account, parsePasswdLine } from '../../system/accounts.ts'
import { errorCode, readSmallFile } from '../../system/files.ts'
import { type Call, exit, Fatal } from './call.ts'
import { parseOptions } from './options.ts'

const fileBytesMax: number = 64 * 1024 * 1024

interface Settings {
  /** `o`: skip accounts that do not own their home; `h`: a missing home is an error; `H`: homes are not checked. */
  readonly homes: 'o' | 'h' | 'H'
  readonly takesCapitals: boolean
  /** Empty: no addresses with an extension. */
  readonly breakCharacter: ByteString
  readonly dash: ByteString
}

export function pw2u(call: Call): number {
  const settings = settingsOf(call)
  const { users } = call.home()
  const lines = (name: string): ByteString[] | undefined => readLines(join(users, name))
  const include = lines('include')
  const exclude = new Set(lines('exclude'))
  const otherNames = new Map((lines('mailnames') ?? []).map((line) => splitName(line)))
  const accounts = new Map<ByteString, Account>()
  for (const account of passwd(call)) {
    const { name } = account
    if (include?.includes(name) === false || exclude.has(name) || !getsMail(account, settings)) continue
    accounts.set(name, account)
    if (name === 'alias') call.out(`+:${fieldsOf(account)}${settings.dash}::\n`)
    for (const one of otherNames.get(name) ?? [name]) assign(call, settings, one, account, '')
  }
  for (const line of lines('subusers') ?? []) {
    const [sub, user, prefix, end] = line.split(':')
    const account = accounts.get(user ?? '')
    if (sub === undefined || prefix === undefined || end === undefined || account === undefined) continue
    assign(call, settings, sub, account, prefix)
  }
  for (const line of lines('append') ?? []) call.out(`${line}\n`)
  call.out('.\n')
  return exit.ok
}

/** `prefix`: of the extension, for a user in another user's home. */
function assign(
  call: Call,
  { breakCharacter, dash }: Settings,
  name: ByteString,
  account: Account,
  prefix: ByteString,
): void {
  const fields = fieldsOf(account)
  call.out(prefix === '' ? `=${name}:${fields}::\n` : `=${name}:${fields}${dash}:${prefix}:\n`)
  if (breakCharacter === '') return
  call.out(`+${name}${breakCharacter}:${fields}${dash}:${prefix === '' ? '' : `${prefix}-`}:\n`)
}

function fieldsOf({ name, uid, gid, home }: Account): ByteString {
  return `${name}:${uid}:${gid}:${home}:`
}

function settingsOf(call: Call): Settings {
  const { options } = parseOptions(call.args, '/ohHuUCc:', 'qmail-pw2u')
  const last = (letters: string) => options.findLast(({ letter }) => letters.includes(letter))
  const homes = last('ohH')?.letter
  const breaking = last('cC')
  return {
    homes: homes === 'h' || homes === 'H' ? homes : 'o',
    takesCapitals: last('uU')?.letter === 'u',
    breakCharacter: breaking === undefined ? '-' : breaking.value.slice(0, 1),
    dash: last('/') === undefined ? '-' : '-/',
  }
}

function getsMail({ name, uid, home }: Account, { homes, takesCapitals }: Settings): boolean {
  if (uid === 0 || (!takesCapitals && /[A-Z]/.test(name))) return false
  if (homes === 'H') return true
  try {
    return statSync(toBuffer(home)).uid === uid
  } catch (error) {
    const code = errorCode(error)
    if (homes === 'o' && !isTemporaryErrno(code)) return false
    throw new Fatal(exit.temporary, `qmail-pw2u: fatal: unable to stat ${home} for user ${name}: ${errnoText(code)}`)
  }
}

function passwd(call: Call): Account[] {
  return linesOf(Buffer.concat([...call.input()]))
    .map(parsePasswdLine)
    .filter((account) => account !== undefined)
}

/** `user:name:name`. */
function splitName(line: ByteString): [ByteString, ByteString[]] {
  const [user = '', ...names] = line.split(':')
  return [user, names.filter((name) => name !== '')]
}

/** Undefined: there is no such file. */
function readLines(path: string): ByteString[] | undefined {
  try {
    const bytes = readSmallFile(path, fileBytesMax)
    return bytes && linesOf(bytes).filter((line) => line !== '')
  } catch (error) {
    throw new Fatal(exit.temporary, `qmail-pw2u: fatal: unable to read ${path}: ${errnoText(errorCode(error))}`)
  }
}

function linesOf(bytes: Buffer): ByteString[] {
  return writtenLines(fromBuffer(bytes))
}
