/** Aliases of hosted domains: one more address of one account is a line of users/assign; an alias of several targets, or of one
 *  elsewhere, is a `.qmail` file in HOME/mail/D/.aliases, which belongs to root, and a line that leads there.
 *  Knows:  the order that leaves nothing half-made: the file is written before its line, and removed after it.
 *  Fails:  throws AccountError with the place and the remedy, else as Node does. */
import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type ByteString, fromBuffer, lowerAscii, toBuffer, toText } from '../../base/byte-string.ts'
import { writtenLines } from '../../protocols/qmail/written-text.ts'
import { errorCode, type Files, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'
import { AccountError } from '../home/account-error.ts'
import { type AccountAddress, textOf } from './address.ts'
import {
  type AssignOwner,
  aliasLine,
  type FoundAlias,
  forwardFile,
  forwardLine,
  forwardsDirectory,
  isAssigned,
  keyIn,
  keyOf,
  readAliasLine,
} from './assign-lines.ts'
import { makeDomainDirectory } from './mailbox.ts'
import { changeSite, readSite, type Site, writeAssign } from './site-files.ts'

/** Delivery reads no longer `.qmail` file. */
const forwardBytesMax: number = 1024 * 1024
const targetsMax = 1000

export interface Alias {
  /** `@domain` for a catch-all. */
  readonly address: string
  readonly targets: readonly ByteString[]
}

/** In the order of users/assign. */
export async function listAliases(files: Files, home: Home): Promise<Alias[]> {
  const { aliases } = await readSite(files, home)
  return await Promise.all(aliases.map(async (alias) => aliasOf(alias, await targetsOf(files, home, alias))))
}

export interface ChangedAlias extends Alias {
  /** Those of its targets that are in a domain hosted here but do not exist. */
  readonly absent: readonly ByteString[]
}

/** Replaces the targets; without targets the alias is removed. `forwarder`: the account whose process forwards, if one must. */
export async function setAlias(
  files: Files,
  home: Home,
  address: AccountAddress,
  change: (targets: readonly ByteString[]) => readonly ByteString[],
  forwarder: AssignOwner,
): Promise<ChangedAlias> {
  return await changeSite(files, home, async (site) => {
    checkPlace(site, address)
    const known = site.aliases.find((alias) => textOf(alias.address) === textOf(address))
    const targets = distinct(change(known === undefined ? [] : await targetsOf(files, home, known)))
    checkTargets(site, address, targets)
    const placed = await placeAlias(files, home, site, site.lines, address, targets, forwarder)
    await writeAssign(files, home, placed.lines)
    await placed.afterwards()
    return { address: textOf(address), targets, absent: absentTargets({ ...site, lines: placed.lines }, targets) }
  })
}

/** Targets that bounce at once: addresses of a hosted domain that no line of users/assign takes. */
export function absentTargets(
  { domains, lines }: Pick<Site, 'domains' | 'lines'>,
  targets: readonly ByteString[],
): ByteString[] {
  return targets.filter((target) => {
    const folded = lowerAscii(target)
    const at = folded.lastIndexOf('@')
    const domain = folded.slice(at + 1)
    return domains.includes(domain) && !isAssigned(lines, keyOf({ local: folded.slice(0, at), domain }))
  })
}

export interface PlacedAlias {
  readonly lines: readonly string[]
  /** To be called after the lines are written. */
  readonly afterwards: () => Promise<void>
}

/** The lines with this alias in place of what it was. */
export async function placeAlias(
  files: Files,
  home: Home,
  site: Pick<Site, 'accounts' | 'domains'>,
  lines: readonly string[],
  address: AccountAddress,
  targets: readonly ByteString[],
  forwarder: AssignOwner,
): Promise<PlacedAlias> {
  const isOwn = (line: string): boolean => {
    const alias = readAliasLine(line, home.mail, [...site.domains, address.domain])
    return alias !== undefined && textOf(alias.address) === textOf(address)
  }
  const others = lines.filter((line) => !isOwn(line))
  const path = forwardFile(home.mail, address)
  const removeFile = (): Promise<void> => files.remove(path)
  if (targets.length === 0) return { lines: others, afterwards: removeFile }
  const account = targets.length === 1 ? accountFor(site, targets[0] ?? '') : undefined
  if (account !== undefined)
    return { lines: [...others, aliasLine(address, account, account.directory)], afterwards: removeFile }
  await makeForwards(home, address.domain)
  await replaceFile(files, path, toBuffer(targets.map((target) => `&${target}\n`).join('')), 0o644)
  return { lines: [...others, forwardLine(address, forwarder, home.mail)], afterwards: () => Promise.resolve() }
}

export async function targetsOf(files: Files, home: Home, alias: FoundAlias): Promise<ByteString[]> {
  if (alias.account !== undefined) return [textOf(alias.account)]
  const text = await files.read(forwardFile(home.mail, alias.address), forwardBytesMax)
  const lines = text === undefined ? [] : writtenLines(fromBuffer(text))
  return lines.filter((line) => line.startsWith('&')).map((line) => line.slice(1))
}

export async function removeForwards(home: Home, domain: string): Promise<void> {
  await rm(forwardsDirectory(home.mail, domain), { recursive: true, force: true })
}

/** Throws AccountError if the domain is not hosted, or the address is taken. */
function checkPlace({ domains, accounts, aliases, lines }: Site, address: AccountAddress): void {
  const text = textOf(address)
  if (!domains.includes(address.domain))
    throw new AccountError(`${address.domain} is not hosted here: 'quaver domain add ${address.domain}' first`)
  const account = accounts.find((one) => textOf(one) === text)
  if (account !== undefined)
    throw new AccountError(
      `${text} is an account; what is to be done with its mail is said in ${join(account.directory, '.qmail')}`,
    )
  if (aliases.some((alias) => textOf(alias.address) === text)) return
  const sign = address.local === '' ? '+' : '='
  if (lines.some((line) => line.startsWith(sign) && keyIn(line) === keyOf(address)))
    throw new AccountError(`users/assign has a line for ${text} that is not ours: '${sign}${keyOf(address)}:'`)
}

function checkTargets(site: Site, address: AccountAddress, targets: readonly ByteString[]): void {
  if (targets.length > targetsMax)
    throw new AccountError(`${textOf(address)}: ${targets.length} targets; an alias can have ${targetsMax}`)
  for (const target of targets) {
    const folded = lowerAscii(target)
    if (folded === textOf(address)) throw new AccountError(`${textOf(address)} cannot lead to itself`)
    const hasOwn = [...site.accounts, ...site.aliases.map((alias) => alias.address)].some(
      (one) => textOf(one) === folded,
    )
    if (address.local === '' && folded.endsWith(`@${address.domain}`) && !hasOwn)
      throw new AccountError(`${toText(target)} is no account and no alias: the catch-all would lead to itself`)
  }
}

/** Case is ignored, as in the lookup of accounts and aliases; the first of equal ones stays. */
function distinct(targets: readonly ByteString[]): ByteString[] {
  const firsts = new Map<string, ByteString>()
  for (const target of targets) if (!firsts.has(lowerAscii(target))) firsts.set(lowerAscii(target), target)
  return [...firsts.values()]
}

function accountFor({ accounts }: Pick<Site, 'accounts'>, target: ByteString): Site['accounts'][number] | undefined {
  return accounts.find((one) => textOf(one) === lowerAscii(target))
}

async function makeForwards(home: Home, domain: string): Promise<void> {
  await makeDomainDirectory(home, domain)
  const directory = forwardsDirectory(home.mail, domain)
  try {
    await mkdir(directory)
    await chmod(directory, 0o755)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
  }
}

function aliasOf({ address }: FoundAlias, targets: readonly ByteString[]): Alias {
  return { address: textOf(address), targets }
}
