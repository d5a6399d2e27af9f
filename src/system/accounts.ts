/** The machine's accounts, which Node cannot look up: /etc/passwd first, then `getent` where the name service knows
 *  more than that file.
 *  Knows:  passwd(5), nsswitch.conf(5). Never: caches longer than the file stays as it is; see the callers.
 *  Fails:  throws when nobody can tell now (file unreadable, getent slow or in trouble): a temporary failure. */
import { execFile } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { fromBuffer } from '../base/byte-string.ts'
import { errorCode } from './files.ts'

export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly shell: string
}

const passwdPath = '/etc/passwd'
const passwdBytesMax: number = 64 * 1024 * 1024
const getent = 'getent'
const getentMillisecondsMax = 10_000
/** Names come from the network, and each costs a process. */
const getentsAtOnceMax = 4
const getentBytesMax: number = 64 * 1024
/** getent's status for "no such key". */
const getentNotFound = 2

/** Names and fields are ByteStrings. Undefined: there is no such account. */
export async function findAccount(name: string): Promise<Account | undefined> {
  if (!isName(name)) return undefined
  const found = readPasswd().byName.get(name)
  if (found !== undefined || !hasMoreThanFiles()) return found
  const account = await askGetent(name)
  // getent takes a number for a uid.
  return account?.name === name ? account : undefined
}

export async function findAccountByUid(uid: number): Promise<Account | undefined> {
  const found = readPasswd().byUid.get(uid)
  if (found !== undefined || !hasMoreThanFiles()) return found
  const account = await askGetent(String(uid))
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

let getentsRunning = 0
const getentsWaiting: (() => void)[] = []

async function askGetent(key: string): Promise<Account | undefined> {
  if (getentsRunning >= getentsAtOnceMax) await new Promise<void>((resolve) => getentsWaiting.push(resolve))
  else getentsRunning++
  try {
    return await runGetent(key)
  } finally {
    // Its place goes to the next, if one waits.
    const next = getentsWaiting.shift()
    if (next === undefined) getentsRunning--
    else next()
  }
}

async function runGetent(key: string): Promise<Account | undefined> {
  const output = await new Promise<Buffer>((resolve, reject) => {
    execFile(
      getent,
      ['passwd', '--', key],
      { timeout: getentMillisecondsMax, killSignal: 'SIGKILL', maxBuffer: getentBytesMax, encoding: 'buffer' },
      (error, stdout) => {
        if (error === null || error.code === getentNotFound) resolve(stdout)
        // A machine without getent has its files only.
        else if (errorCode(error) === 'ENOENT') resolve(Buffer.alloc(0))
        else reject(new Error(`getent: ${error.message}`))
      },
    )
  })
  return parsePasswdLine(fromBuffer(output).split('\n')[0] ?? '')
}

/** Printable ASCII and high bytes, without what passwd(5) cannot hold: nothing else is ever passed to a program. */
function isName(name: string): boolean {
  return /^[!-,.-9;-~\x80-\xff][!-9;-~\x80-\xff]*$/.test(name) && !name.startsWith('+')
}

function isNumber(text: string | undefined): boolean {
  return text !== undefined && /^[0-9]{1,10}$/.test(text) && Number(text) < 0xffff_ffff
}
