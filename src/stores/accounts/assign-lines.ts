/** The lines of users/assign that make accounts, aliases and catch-alls of hosted domains. The key of an address is
 *  `domain-local`, as control/virtualdomains `D:D` makes it. Of keys that fit, an exact one (`=`) wins, then the longest
 *  wildcard (`+`): an account's own extensions go before the catch-all of its domain.
 *  Lines are ByteStrings, directories are text: only here does one become the other. */
import { basename, dirname, join, relative } from 'node:path'
import { fromText, toText } from '../../base/byte-string.ts'
import { writtenLines } from '../../protocols/qmail/written-text.ts'
import type { AccountAddress } from './address.ts'

/** The account of the machine that owns the mail, by name and numbers. */
export interface AssignOwner {
  readonly user: string
  readonly uid: number
  readonly gid: number
}

/** After the last colon, a field that qmail ignores: no other account may have this uid. */
const ownUidMark = 'own-uid'
/** Below HOME/mail/D; no account can have this name. */
const forwardsName = '.aliases'
/** The extension of a catch-all's forwards; no alias can have this name. */
const catchAllExtension = '@-'

export function keyOf({ local, domain }: AccountAddress): string {
  return `${domain}-${local}`
}

/** The address itself first; then its extensions, after `-` as in qmail and after `+` as elsewhere. */
export function accountLines(key: string, owner: AssignOwner, directory: string, ownUid: boolean): string[] {
  const fields = fieldsOf(owner, directory)
  return [`=${key}:${fields}:::${ownUid ? ownUidMark : ''}`, `+${key}-:${fields}:-::`, `+${key}+:${fields}:+::`]
}

/** One more address of a mailbox; of a catch-all, what stands before the `@` becomes the extension after a `+`. */
export function aliasLine(address: AccountAddress, owner: AssignOwner, directory: string): string {
  const isCatchAll = address.local === ''
  return `${isCatchAll ? '+' : '='}${keyOf(address)}:${fieldsOf(owner, directory)}:${isCatchAll ? '+' : ''}::`
}

/** An address whose mail goes where a `.qmail` file in the domain's forwards says. */
export function forwardLine(address: AccountAddress, owner: AssignOwner, mail: string): string {
  const fields = fieldsOf(owner, forwardsDirectory(mail, address.domain))
  const { local } = address
  return local === ''
    ? `+${keyOf(address)}:${fields}:-:${catchAllExtension}:`
    : `=${keyOf(address)}:${fields}:-:${local}:`
}

export function forwardsDirectory(mail: string, domain: string): string {
  return join(mail, domain, forwardsName)
}

/** As qmail-local looks for it: dots become colons. */
export function forwardFile(mail: string, { local, domain }: AccountAddress): string {
  const ext = local === '' ? `${catchAllExtension}default` : local.replaceAll('.', ':')
  return join(forwardsDirectory(mail, domain), `.qmail-${ext}`)
}

export interface FoundAccount extends AssignOwner {
  readonly local: string
  readonly domain: string
  readonly directory: string
  readonly ownUid: boolean
}

/** Undefined unless the line is an account with a mailbox below `mail`: other lines belong to the administrator. */
export function readAccountLine(line: string, mail: string): FoundAccount | undefined {
  if (!line.startsWith('=')) return undefined
  const [key, user, uid, gid, , , , rest] = line.slice(1).split(':')
  const directory = directoryIn(line)
  if (key === undefined || user === undefined || directory === undefined) return undefined
  const owner = mailboxIn(directory, mail)
  if (owner === undefined || key !== keyOf(owner)) return undefined
  return { ...owner, user, uid: Number(uid), gid: Number(gid), directory, ownUid: rest === ownUidMark }
}

/** The mail directory that this account's line was made for, if that was not `mail`: the home was moved, or is a copy. */
export function earlierMail(line: string, mail: string): string | undefined {
  const directory = line.startsWith('=') ? directoryIn(line) : undefined
  if (directory === undefined) return undefined
  const before = dirname(dirname(directory))
  if (basename(before) !== basename(mail) || before === mail) return undefined
  const owner = mailboxIn(directory, before)
  return owner !== undefined && keyIn(line) === keyOf(owner) ? before : undefined
}

/** What an administrator has to do about `earlierMail`. */
export function movedRemedy(
  before: string,
  { mail, users }: { readonly mail: string; readonly users: string },
): string {
  return `if the home was moved, or is a copy: sed -i 's|:${before}/|:${mail}/|' ${join(users, 'assign')}, then quaver account compile`
}

export interface FoundAlias {
  readonly address: AccountAddress
  /** The owner of its account; with a forward file, the account whose process forwards. */
  readonly owner: AssignOwner
  /** Undefined: its forward file names the targets. */
  readonly account: AccountAddress | undefined
}

/** Undefined for a line that is no alias of ours. `domains`: those that are hosted. */
export function readAliasLine(line: string, mail: string, domains: readonly string[]): FoundAlias | undefined {
  const [key, user, uid, gid, , dash, ext] = line.slice(1).split(':')
  const directory = directoryIn(line)
  if (key === undefined || user === undefined || directory === undefined) return undefined
  const domain = domainOfKey(key, domains)
  if (domain === undefined) return undefined
  const address: AccountAddress = { local: key.slice(domain.length + 1), domain }
  const owner: AssignOwner = { user, uid: Number(uid), gid: Number(gid) }
  const isCatchAll = address.local === ''
  if (line.startsWith('+') !== isCatchAll) return undefined
  if (directory === forwardsDirectory(mail, domain)) {
    const isOurs = dash === '-' && ext === (isCatchAll ? catchAllExtension : address.local)
    return isOurs ? { address, owner, account: undefined } : undefined
  }
  const account = mailboxIn(directory, mail)
  if (account === undefined || keyOf(account) === key || dash !== (isCatchAll ? '+' : '') || ext !== '')
    return undefined
  return { address, owner, account }
}

/** A line takes the address of this key, by itself or as one of its extensions. */
export function isAssigned(lines: readonly string[], key: string): boolean {
  return lines.some((line) => (line.startsWith('=') ? keyIn(line) === key : key.startsWith(keyIn(line))))
}

/** The uid of the line; NaN where it has none. */
export function uidIn(line: string): number {
  return Number(line.split(':')[2])
}

/** The directory of the line; undefined where it has none. */
export function directoryIn(line: string): string | undefined {
  const directory = line.split(':')[4]
  return directory === undefined ? undefined : toText(directory)
}

/** The longest domain that, followed by a dash, begins the key. */
export function domainOfKey(key: string, domains: readonly string[]): string | undefined {
  let found: string | undefined
  for (const domain of domains) if (key.startsWith(`${domain}-`) && domain.length > (found?.length ?? 0)) found = domain
  return found
}

/** Without `=` or `+`. */
export function keyIn(line: string): string {
  const end = line.indexOf(':')
  return line.slice(1, end === -1 ? undefined : end).toLowerCase()
}

/** The lines before the one that begins with a dot, which ends the file. */
export function assignBody(assign: string): string[] {
  const lines = writtenLines(assign)
  const end = lines.findIndex((line) => line.startsWith('.'))
  return (end === -1 ? lines : lines.slice(0, end)).filter((line) => line !== '')
}

function fieldsOf({ user, uid, gid }: AssignOwner, directory: string): string {
  return `${user}:${uid}:${gid}:${fromText(directory)}`
}

function mailboxIn(directory: string, mail: string): AccountAddress | undefined {
  const [domain, local, ...deeper] = relative(mail, directory).split('/')
  if (domain === undefined || local === undefined || deeper.length > 0 || domain === '..') return undefined
  return local.startsWith('.') ? undefined : { local, domain }
}
