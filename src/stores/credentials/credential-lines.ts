/** The lines of HOME/auth/passwd (docs/formats/passwd.md).
 *  Fails:  an invalid line is reported by its number and a reason that quotes nothing of it. */
import { lowerAscii } from '../../base/byte-string.ts'
import { writtenLines } from '../../protocols/qmail/written-text.ts'
import { parseScramVerifier, type ScramVerifier } from '../../protocols/sasl/scram-verifier.ts'
import { formatPasswordHash, type PasswordHash, parsePasswordHash } from '../../system/password-hash.ts'
import type { Secrets } from './derive.ts'

/** A login may compute one hash for each. */
export const credentialsPerAccountMax = 16
const labelPattern = /^[A-Za-z0-9._-]{1,32}$/
/** An address in lower case, or the name of a system user: no blank, no control character, no colon. */
const accountPattern = /^[^\0-#:A-Z\x7f][^\0-\x20:A-Z\x7f]{0,511}$/

export interface Credential {
  /** Empty: the main password; else the name of an app password. */
  readonly label: string
  readonly hash: PasswordHash
  readonly scram: ScramVerifier | undefined
}

export interface AccountCredentials {
  readonly disabled: boolean
  readonly credentials: readonly Credential[]
}

/** Whether a password that let the account in before no longer does. Undefined: it has no lines. */
export function hasLost(before: AccountCredentials | undefined, after: AccountCredentials | undefined): boolean {
  if (after?.disabled === true && before?.disabled !== true) return true
  const left = new Set(after?.credentials.map(({ hash }) => formatPasswordHash(hash)))
  return before?.credentials.some(({ hash }) => !left.has(formatPasswordHash(hash))) ?? false
}

export interface ParsedCredentials {
  readonly accounts: ReadonlyMap<string, AccountCredentials>
  /** Accounts with lines of which none can be read: it is unknown whether a password is theirs. */
  readonly unreadable: ReadonlySet<string>
  /** `line N: reason`. */
  readonly faults: readonly string[]
}

export type CredentialLine =
  | { readonly kind: 'credential'; readonly account: string; readonly credential: Credential }
  | { readonly kind: 'disabled'; readonly account: string }
  | { readonly kind: 'remark' }
  /** `account`: the line's account, where that can be read. */
  | { readonly kind: 'fault'; readonly reason: string; readonly account?: string }

export function isLabel(text: string): boolean {
  return labelPattern.test(text)
}

export function readCredentialLine(line: string): CredentialLine {
  if (line === '' || line.startsWith('#')) return { kind: 'remark' }
  if (line.startsWith('!')) {
    const account = lowerAscii(line.slice(1))
    return accountPattern.test(account) ? { kind: 'disabled', account } : fault('no address after !')
  }
  const [name = '', second = '', third, ...rest] = line.split(':')
  const account = lowerAscii(name)
  if (!accountPattern.test(account)) return fault('it does not begin with an address')
  // Version 0.1 wrote `address:hash`.
  const [label, phc, verifier] = third === undefined ? ['', second, ''] : [second, third, rest.join(':')]
  if (label !== '' && !isLabel(label))
    return { ...fault('the label is not 1 to 32 letters, digits, . _ or -'), account }
  const hash = parsePasswordHash(phc)
  if (hash === undefined) return { ...fault('the hash is not argon2id, or dearer than we take'), account }
  const scram = parseScramVerifier(verifier)
  if (verifier !== '' && scram === undefined)
    return { ...fault('the last field is no SCRAM-SHA-256 verifier'), account }
  return { kind: 'credential', account, credential: { label, hash, scram } }
}

export function formatCredentialLine(account: string, label: string, { phc, scram }: Secrets): string {
  return `${account}:${label}:${phc}:${scram}`
}

/** `text` is the whole file, a ByteString. */
export function parseCredentials(text: string): ParsedCredentials {
  const accounts = new Map<string, { disabled: boolean; credentials: Credential[] }>()
  const faults: string[] = []
  const unreadable = new Set<string>()
  const entry = (account: string): { disabled: boolean; credentials: Credential[] } => {
    const found = accounts.get(account) ?? { disabled: false, credentials: [] }
    accounts.set(account, found)
    return found
  }
  for (const [index, line] of writtenLines(text).entries()) {
    const read = readCredentialLine(line)
    if (read.kind === 'disabled') entry(read.account).disabled = true
    else if (read.kind === 'fault') {
      faults.push(`line ${index + 1}: ${read.reason}`)
      if (read.account !== undefined) unreadable.add(read.account)
    } else if (read.kind === 'credential') {
      const { credentials } = entry(read.account)
      if (credentials.some(({ label }) => label === read.credential.label))
        faults.push(`line ${index + 1}: a second password of that account and label`)
      else if (credentials.length >= credentialsPerAccountMax)
        faults.push(`line ${index + 1}: more than ${credentialsPerAccountMax} passwords of one account`)
      else credentials.push(read.credential)
    }
  }
  for (const account of accounts.keys()) unreadable.delete(account)
  return { accounts, unreadable, faults }
}

function fault(reason: string): Extract<CredentialLine, { kind: 'fault' }> {
  return { kind: 'fault', reason }
}
