/** Accounts and the hashes of their passwords: HOME/auth/passwd, which authd reads and the command line changes.
 *  Knows:  that each change is made under a lock, and that lines it does not understand stay where they are.
 *  Never:  returns a hash to anybody but authd and the export for another server; keeps a password.
 *  Fails:  throws AccountError with the remedy for an impossible request; else as Node does. */
import type { ByteString } from '../../base/byte-string.ts'
import { writtenLines } from '../../protocols/qmail/written-text.ts'
import { AccountError } from '../home/account-error.ts'
import { lockDirectory } from '../home/directory-lock.ts'
import type { Home } from '../home/layout.ts'
import {
  type CredentialLine,
  credentialsPerAccountMax,
  formatCredentialLine,
  isLabel,
  type ParsedCredentials,
  parseCredentials,
  readCredentialLine,
} from './credential-lines.ts'
import { readCredentialsText, replaceCredentialsText } from './credentials-file.ts'
import { deriveSecrets, type Secrets } from './derive.ts'

/** The part of an account that may be shown. */
export interface CredentialSummary {
  readonly address: string
  readonly disabled: boolean
  /** Empty: the main password. */
  readonly labels: readonly string[]
}

/** Everything, for authd, which checks passwords. */
export async function readCredentials(home: Home): Promise<ParsedCredentials> {
  return parseCredentials(await readCredentialsText(home))
}

/** By address, in the order of the file. */
export async function listCredentials(home: Home): Promise<ReadonlyMap<string, CredentialSummary>> {
  const { accounts } = await readCredentials(home)
  const summaries = [...accounts].map(([address, { disabled, credentials }]) => {
    return [address, { address, disabled, labels: credentials.map(({ label }) => label) }] as const
  })
  return new Map(summaries)
}

/** Sets or replaces the password of an account and label; the empty label is the main password. */
export async function setCredential(home: Home, address: string, label: string, password: string): Promise<void> {
  checkLabel(label)
  await change(home, async (lines) => {
    const own = lines.filter(({ read }) => isCredentialOf(read, address))
    const others = own.filter(({ read }) => labelOf(read) !== label)
    checkRoom(address, others.length)
    const salt = others.map(({ read }) => saltOf(read)).find((one) => one !== undefined)
    return replaced(lines, address, label, await deriveSecrets(password, salt))
  })
}

/** The same with derived secrets: only for an account without credentials, since all verifiers of an account share a salt. */
export async function putSecrets(home: Home, address: string, secrets: Secrets): Promise<void> {
  await change(home, (lines) => Promise.resolve(replaced(lines, address, '', secrets)))
}

/** False if there was none. */
export async function removeCredential(home: Home, address: string, label: string): Promise<boolean> {
  return await without(home, ({ read }) => isCredentialOf(read, address) && labelOf(read) === label)
}

/** A disabled account keeps its passwords; a login gets the reply of a wrong password. `names`: its other names, under which it
 *  is not disabled after this. */
export async function setDisabled(
  home: Home,
  address: string,
  disabled: boolean,
  names: readonly string[] = [],
): Promise<void> {
  await change(home, (lines) => {
    const all = new Set([address, ...names])
    const others = lines.filter(({ read }) => !(read.kind === 'disabled' && all.has(read.account)))
    const texts = others.map(({ text }) => text)
    return Promise.resolve(disabled ? [...texts, `!${address}`] : texts)
  })
}

/** Renames all of its lines; lines that the new name had are removed. */
export async function renameCredentials(home: Home, from: string, to: string): Promise<void> {
  await change(home, (lines) => {
    const kept = lines.filter(({ read }) => !('account' in read && read.account === to))
    const texts = kept.map(({ text, read }) => {
      if (read.kind === 'disabled' && read.account === from) return `!${to}`
      return isCredentialOf(read, from) ? `${to}${text.slice(from.length)}` : text
    })
    return Promise.resolve(texts)
  })
}

/** Removes all of its lines. False if there were none. */
export async function removeAccount(home: Home, address: string): Promise<boolean> {
  return await without(home, ({ read }) => 'account' in read && read.account === address)
}

interface Line {
  readonly text: ByteString
  readonly read: CredentialLine
}

async function without(home: Home, isGone: (line: Line) => boolean): Promise<boolean> {
  let found = false
  await change(home, (lines) => {
    found = lines.some(isGone)
    return Promise.resolve(lines.filter((line) => !isGone(line)).map(({ text }) => text))
  })
  return found
}

async function change(home: Home, act: (lines: readonly Line[]) => Promise<readonly ByteString[]>): Promise<void> {
  const unlock = await lockDirectory(home.auth)
  try {
    const before = await readCredentialsText(home)
    const lines = writtenLines(before).filter((text) => text !== '')
    const after = await act(lines.map((text) => ({ text, read: readCredentialLine(text) })))
    const text = after.map((line) => `${line}\n`).join('')
    if (text !== before) await replaceCredentialsText(home, text)
  } finally {
    await unlock()
  }
}

function replaced(lines: readonly Line[], address: string, label: string, secrets: Secrets): ByteString[] {
  const line = formatCredentialLine(address, label, secrets)
  if (readCredentialLine(line).kind !== 'credential') throw new AccountError(`'${address}' cannot have a password`)
  const kept = lines.filter(({ read }) => !(isCredentialOf(read, address) && labelOf(read) === label))
  return [...kept.map(({ text }) => text), line]
}

function isCredentialOf(read: CredentialLine, address: string): boolean {
  return read.kind === 'credential' && read.account === address
}

function labelOf(read: CredentialLine): string | undefined {
  return read.kind === 'credential' ? read.credential.label : undefined
}

function saltOf(read: CredentialLine): ByteString | undefined {
  return read.kind === 'credential' ? read.credential.scram?.salt : undefined
}

function checkLabel(label: string): void {
  if (label !== '' && !isLabel(label))
    throw new AccountError(`'${label}' cannot name a password: 1 to 32 letters, digits, '.', '_' and '-' can`)
}

function checkRoom(address: string, others: number): void {
  if (others >= credentialsPerAccountMax)
    throw new AccountError(`${address} has ${credentialsPerAccountMax} passwords already: remove one first`)
}
