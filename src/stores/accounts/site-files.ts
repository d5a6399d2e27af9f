/** The files of users/ and control/ as an account command sees and changes them: read once under the lock, written one
 *  after the other.
 *  Never:  touches lines that it did not write.
 *  Fails:  throws AccountError with the place and the remedy, else as Node does. */
import { join } from 'node:path'
import { fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { parseLine, parseList, parseMap } from '../../protocols/qmail/control-format.ts'
import { encodingFault, withoutLines } from '../../protocols/qmail/written-text.ts'
import { type Files, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'
import { assignBytesMax, compileAssign } from '../users/assign.ts'
import { AccountError } from '../home/account-error.ts'
import { assignBody, type FoundAccount, type FoundAlias, readAccountLine, readAliasLine } from './assign-lines.ts'
import { lockDirectory } from '../home/directory-lock.ts'

const controlBytesMax: number = 8 * 1024 * 1024

export interface Site {
  /** Of users/assign, up to its end. */
  readonly lines: readonly string[]
  readonly accounts: readonly FoundAccount[]
  readonly aliases: readonly FoundAlias[]
  /** In control/virtualdomains as `D:D`. */
  readonly domains: readonly string[]
}

export async function readSite(files: Files, home: Home): Promise<Site> {
  const lines = assignBody((await readText(files, join(home.users, 'assign'), assignBytesMax)) ?? '')
  const prepends = parseMap((await readControl(files, home, 'virtualdomains')) ?? '')
  const domains = [...prepends]
    .filter(([domain, prepend]) => domain === prepend.toLowerCase())
    .map(([domain]) => domain)
  const accounts = lines.map((line) => readAccountLine(line, home.mail)).filter((one) => one !== undefined)
  const aliases = lines.map((line) => readAliasLine(line, home.mail, domains)).filter((one) => one !== undefined)
  return { lines, accounts, aliases, domains }
}

/** Two administrators at once must not lose each other's lines. */
export async function changeSite<T>(files: Files, home: Home, change: (site: Site) => Promise<T>): Promise<T> {
  const unlock = await lockDirectory(home.users)
  try {
    return await change(await readSite(files, home))
  } finally {
    await unlock()
  }
}

export async function writeAssign(files: Files, home: Home, lines: readonly string[]): Promise<void> {
  const text = [...lines, '.', ''].join('\n')
  await replaceFile(files, join(home.users, 'assign'), toBuffer(text), 0o644)
  const compiled = await compileAssign(home, files)
  if (!compiled.done) throw new AccountError(`users/cdb is as it was: ${compiled.failure.logText}`)
}

/** Throws AccountError if mail for the domain does not, or would not, go to accounts. */
export async function checkDomain(files: Files, home: Home, { domains }: Site, domain: string): Promise<void> {
  await checkLocals(files, home, domain)
  const prepend = parseMap((await readControl(files, home, 'virtualdomains')) ?? '').get(domain)
  if (prepend !== undefined && prepend.toLowerCase() !== domain)
    throw new AccountError(`control/virtualdomains sends ${domain} to '${prepend}'; accounts need ${domain}:${domain}`)
  const alike = domains.find((one) => one.startsWith(`${domain}-`) || domain.startsWith(`${one}-`))
  if (alike !== undefined)
    throw new AccountError(
      `${domain} and ${alike} begin alike up to a dash: users/assign could not tell their addresses apart`,
    )
}

export async function addDomainLines(files: Files, home: Home, domain: string): Promise<void> {
  await addLine(files, home, 'virtualdomains', `${domain}:${domain}`, (text) => parseMap(text).has(domain))
  await addLine(files, home, 'rcpthosts', domain, (text) => {
    return parseList(text).some((line) => line.toLowerCase() === domain)
  })
}

/** In this order: mail is no longer accepted before it is no longer routed. */
export async function removeDomainLines(files: Files, home: Home, domain: string): Promise<void> {
  await removeLine(files, home, 'rcpthosts', domain)
  await removeLine(files, home, 'virtualdomains', `${domain}:${domain}`)
}

async function checkLocals(files: Files, home: Home, domain: string): Promise<void> {
  const locals = await readControl(files, home, 'locals')
  const isLocal = (names: readonly string[]): boolean => names.some((line) => line.toLowerCase() === domain)
  if (locals !== undefined && isLocal(parseList(locals)))
    throw new AccountError(
      `${domain} is in control/locals, so its addresses are the machine's own users; take that line out to host accounts`,
    )
  const me = (await readControl(files, home, 'me')) ?? ''
  if (locals === undefined && isLocal([parseLine(me)]))
    throw new AccountError(
      `${domain} is this host's own name (control/me), so its addresses are the machine's own users; to host accounts there, write another name, such as localhost, to control/locals`,
    )
}

async function addLine(
  files: Files,
  home: Home,
  name: string,
  line: string,
  has: (text: string) => boolean,
): Promise<void> {
  const text = (await readControl(files, home, name)) ?? ''
  if (has(text)) return
  const ended = text === '' || text.endsWith('\n') ? text : `${text}\n`
  await replaceFile(files, join(home.control, name), toBuffer(`${ended}${line}\n`), 0o644)
}

async function removeLine(files: Files, home: Home, name: string, line: string): Promise<void> {
  const text = (await readControl(files, home, name)) ?? ''
  const kept = withoutLines(text, (one) => one.toLowerCase() === line)
  if (kept !== text) await replaceFile(files, join(home.control, name), toBuffer(kept), 0o644)
}

function readControl(files: Files, home: Home, name: string): Promise<string | undefined> {
  return readText(files, join(home.control, name), controlBytesMax)
}

async function readText(files: Files, path: string, bytesMax: number): Promise<string | undefined> {
  const bytes = await files.read(path, bytesMax)
  const text = bytes === undefined ? undefined : fromBuffer(bytes)
  const fault = encodingFault(text ?? '')
  if (fault !== undefined) throw new AccountError(`${path} ${fault}`)
  return text
}
