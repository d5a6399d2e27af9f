/** Files that the programs make in a home while they run, which are not recorded: sockets, databases, compiled files, links.
 *  Never:  removes what a person may have put there, or mail. */
import { existsSync, lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { lstat, readdir, readFile, rm, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { rulesNames } from '../../../contracts/services.ts'
import { listCredentials } from '../../../stores/credentials/credentials.ts'
import type { Home } from '../../../stores/home/layout.ts'
import { qmailPrograms } from '../../../stores/installation/qmail-programs.ts'
import { rulePaths } from '../../../stores/tcprules/files.ts'
import { removeInstalledCertificate } from '../../../stores/home/certified-pair.ts'
import { asOwner, type OwnerIds } from '../../../system/as-owner.ts'
import { errorCode, realFiles } from '../../../system/files.ts'

export interface Place {
  readonly path: string
  readonly why: string
}

const emptyFileBytesMax = 2
/** Places reported at most. */
const placesMax = 50

/** `keepsMail`: mail and its owners' records stay. */
export async function removeKept(home: Home, keepsMail: boolean, gone: string[]): Promise<void> {
  const states = [
    home.run,
    home.log,
    home.greylist,
    home.issuers,
    home.reports,
    home.acme,
    home.mtaSts,
    home.tlsReports,
    ...(keepsMail ? [] : [home.queue]),
  ]
  if (!keepsMail && !(await hasLogins(home))) states.push(home.auth)
  for (const directory of states) {
    for (const name of namesIn(directory)) await rm(join(directory, name), { recursive: true, force: true })
    if (await isRemoved(directory)) gone.push(directory)
  }
  for (const name of ['quaver', ...qmailPrograms]) {
    const path = join(home.bin, name)
    if (linkOf(path)?.endsWith('/bin/quaver') === true) await unlink(path)
  }
  await rm(join(home.path, 'start.err'), { force: true })
  await removeInstalledCertificate(realFiles, home.tls)
  for (const service of rulesNames) await removeCompiled(rulePaths(home, service).source, rulePaths(home, service).cdb)
  await removeCompiled(join(home.control, 'morercpthosts'), join(home.control, 'morercpthosts.cdb'))
  if (!keepsMail) {
    await removeIfEmpty(join(home.users, 'assign'), '.\n')
    await removeCompiled(join(home.users, 'assign'), join(home.users, 'cdb'))
    for (const name of ['virtualdomains', 'dkimdomains']) await removeIfEmpty(join(home.control, name), '')
    for (const name of ['cur', 'new', 'tmp', '']) await isRemoved(join(home.alias, 'Maildir', name))
  }
}

/** Passwords of users of the machine, or other names that are no accounts of a hosted domain. */
async function hasLogins(home: Home): Promise<boolean> {
  return existsSync(home.auth) && (await listCredentials(home)).size > 0
}

/** Remaining files that were not mentioned yet: a person put them there. */
export async function leftBelow(directories: readonly string[], spokenOf: readonly string[]): Promise<Place[]> {
  const found: Place[] = []
  const look = async (path: string): Promise<void> => {
    if (found.length >= placesMax || spokenOf.includes(path)) return
    const facts = await lstat(path).catch(() => undefined)
    if (facts === undefined) return
    if (facts.isDirectory()) for (const name of await entriesOf(path)) await look(join(path, name))
    else found.push({ path, why: 'was not made by setup' })
  }
  for (const directory of directories) await look(directory)
  return found
}

/** Messages in a Maildir and its folders, looked at as its owner. */
export async function messagesIn(maildir: string, owner: OwnerIds): Promise<number> {
  return await asOwner(owner, async () => {
    const folders = ['', ...(await entriesOf(maildir)).filter((name) => name.startsWith('.'))]
    let count = 0
    for (const folder of folders)
      for (const name of ['new', 'cur']) count += (await entriesOf(join(maildir, folder, name))).length
    return count
  })
}

/** One path for each uid that owns something there, besides root. */
export async function ownersBelow(directories: readonly string[]): Promise<Map<number, string>> {
  const found = new Map<number, string>()
  const look = async (path: string): Promise<void> => {
    const facts = await lstat(path).catch(() => undefined)
    if (facts === undefined) return
    if (facts.uid !== 0 && !found.has(facts.uid)) found.set(facts.uid, path)
    if (facts.isDirectory()) for (const name of await entriesOf(path)) await look(join(path, name))
  }
  for (const directory of directories) await look(directory)
  return found
}

/** Removes a compiled file whose source is gone. */
async function removeCompiled(source: string, compiled: string): Promise<void> {
  if (lstatSync(source, { throwIfNoEntry: false }) === undefined) await rm(compiled, { force: true })
}

async function removeIfEmpty(path: string, empty: string): Promise<void> {
  const facts = lstatSync(path, { throwIfNoEntry: false })
  if (facts?.isFile() !== true || facts.size > emptyFileBytesMax) return
  if ((await readFile(path, 'utf8')).trim() === empty.trim()) await unlink(path)
}

async function isRemoved(directory: string): Promise<boolean> {
  try {
    await rmdir(directory)
    return true
  } catch {
    return false
  }
}

async function entriesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return []
    throw error
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
