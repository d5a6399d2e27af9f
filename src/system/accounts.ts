/** The machine's accounts, which Node cannot look up: /etc/passwd first, then `getent` where the name service knows
 *  more than that file.
 *  Knows:  passwd(5), nsswitch.conf(5). Never: keeps what the file says longer than the file stays as it is.
 *  Fails:  throws when it cannot find out now (file unreadable, getent slow or in trouble): a temporary failure. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { fromBuffer } from '../base/byte-string.ts'
import { realClock } from './clock.ts'
import { errorCode } from './files.ts'
import { NameService } from './name-service.ts'

export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly shell: string
}

const passwdPath = '/etc/passwd'
const passwdBytesMax: number = 64 * 1024 * 1024
/** Root runs it: never by PATH. */
const getentPaths: readonly string[] = ['/usr/bin/getent', '/bin/getent']
const getentMillisecondsMax = 10_000
const getentBytesMax: number = 64 * 1024
/** getent's status for "no such key". */
const getentNotFound = 2

/** Names and fields are ByteStrings. Undefined: there is no such account. */
export async function findAccount(name: string): Promise<Account | undefined> {
  if (!isName(name)) return undefined
  const found = readPasswd().byName.get(name)
  if (found !== undefined || !hasMoreThanFiles()) return found
  return nameService.find(name)
}

/** For a caller that will look these names up in turn, until one is found: asks the name service about all at once. */
export async function askAhead(names: readonly string[]): Promise<void> {
  if (!hasMoreThanFiles()) return
  const { byName } = readPasswd()
  const found = names.findIndex((name) => byName.has(name))
  await nameService.ask((found < 0 ? names : names.slice(0, found)).filter(isName))
}

export async function findAccountByUid(uid: number): Promise<Account | undefined> {
  const found = readPasswd().byUid.get(uid)
  if (found !== undefined || !hasMoreThanFiles()) return found
  const [account] = await runGetent([String(uid)])
  return account?.uid === uid ? account : undefined
}

/** One line of passwd(5); undefined if it is none. */
export function parsePasswdLine(line: string): Account | undefined {
  const [name, , uid, gid, , home, shell] = line.split(':')
  if (name === undefined || shell === undefined || home === undefined || !isName(name)) return undefined
  if (!isNumber(uid) || !isNumber(gid)) return undefined
  return { name, uid: Number(uid), gid: Number(gid), home, shell }
}

interface Passwd {
  readonly stamp: string
  readonly byName: ReadonlyMap<string, Account>
  readonly byUid: ReadonlyMap<number, Account>
}

let passwd: Passwd | undefined

function readPasswd(): Passwd {
  const facts = statSync(passwdPath)
  const stamp = `${facts.ino}:${facts.size}:${facts.mtimeMs}`
  if (passwd?.stamp === stamp) return passwd
  if (facts.size > passwdBytesMax) throw new Error(`${passwdPath}: ${facts.size} bytes, limit ${passwdBytesMax}`)
  const byName = new Map<string, Account>()
  const byUid = new Map<number, Account>()
  for (const line of fromBuffer(readFileSync(passwdPath)).split('\n')) {
    const account = parsePasswdLine(line)
    if (account === undefined) continue
    // The first line wins, as in getpwnam.
    if (!byName.has(account.name)) byName.set(account.name, account)
    if (!byUid.has(account.uid)) byUid.set(account.uid, account)
  }
  passwd = { stamp, byName, byUid }
  return passwd
}

let moreThanFiles: boolean | undefined

/** Whether getent can know what /etc/passwd does not say; read once. */
function hasMoreThanFiles(): boolean {
  moreThanFiles ??= readSources().some((source) => source !== 'files' && source !== 'compat')
  return moreThanFiles
}

function readSources(): string[] {
  try {
    const line = /^passwd:(.*)$/m.exec(readFileSync('/etc/nsswitch.conf', 'latin1'))
    return (line?.[1] ?? '').split(/\s+/).filter((word) => word !== '' && !word.startsWith('['))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

/** `getent passwd`, with all keys of one question; those that it does not know are not in the answer. */
async function runGetent(keys: readonly string[]): Promise<readonly Account[]> {
  const getent = getentPaths.find((path) => existsSync(path))
  // A machine without it has its files only.
  if (getent === undefined) return []
  const output = await new Promise<Buffer>((resolve, reject) => {
    execFile(
      getent,
      ['passwd', '--', ...keys],
      {
        timeout: getentMillisecondsMax,
        killSignal: 'SIGKILL',
        maxBuffer: getentBytesMax,
        encoding: 'buffer',
        cwd: '/',
        env: { PATH: '/usr/bin:/bin' },
      },
      (error, stdout) => {
        if (error === null || error.code === getentNotFound) resolve(stdout)
        else reject(new Error(`${getent}: ${error.message}`))
      },
    )
  })
  const lines = fromBuffer(output).split('\n')
  return lines.map(parsePasswdLine).filter((account) => account !== undefined)
}

const nameService = new NameService(realClock, runGetent)

/** Printable ASCII and high bytes, without what passwd(5) cannot hold: nothing else is ever passed to a program. */
function isName(name: string): boolean {
  return /^[!-,.-9;-~\x80-\xff][!-9;-~\x80-\xff]*$/.test(name) && !name.startsWith('+')
}

function isNumber(text: string | undefined): boolean {
  return text !== undefined && /^[0-9]{1,10}$/.test(text) && Number(text) < 0xffff_ffff
}
