/** `quaver uninstall`: removes what `setup` and the programs made on this machine, and nothing else.
 *  Knows:  the order: stop, services, accounts and mail if that is wanted, what the programs keep, what setup made, accounts of
 *          the machine, the home. Never: touches files that others made or edited; it says what stays, and why.
 *  Fails:  removed things are gone; the next run goes on there. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describeError } from '../../../base/outcome.ts'
import { askAll } from '../../../clients/admin/ask.ts'
import { listAccounts } from '../../../stores/accounts/accounts.ts'
import { parseAccountAddress } from '../../../stores/accounts/address.ts'
import { lockDirectory } from '../../../stores/home/directory-lock.ts'
import { listDomains, removeDomain } from '../../../stores/accounts/domains.ts'
import { deleteMail } from '../../../stores/accounts/mailbox.ts'
import { type Home, homeAt, socketPath } from '../../../stores/home/layout.ts'
import { removeLeftovers } from '../../../stores/installation/leftovers.ts'
import { MadeThings } from '../../../stores/installation/made.ts'
import { leftMessages } from '../../../stores/queue/left-messages.ts'
import { setSelectors } from '../../../stores/signing-keys/signing-lines.ts'
import { keysDirectory, removeKeys } from '../../../stores/signing-keys/signing-keys.ts'
import { removeAccount } from '../../../system/account-changes.ts'
import { findAccount } from '../../../system/accounts.ts'
import { realClock } from '../../../system/clock.ts'
import { realFiles } from '../../../system/files.ts'
import { confirm } from '../ask-person.ts'
import { type GlobalOptions, isRunning, locateHome } from '../context.ts'
import { CommandError } from '../exit.ts'
import { print, printJson, styled } from '../output.ts'
import { enabledBy, removeService } from '../services/services.ts'
import { initSystemNames, initSystems } from '../services/systems.ts'
import { asCommandError } from '../setup/known-errors.ts'
import { leftBelow, messagesIn, ownersBelow, type Place, removeKept } from './kept.ts'
import { programTree, removeTree } from './program-tree.ts'

export interface UninstallOptions extends GlobalOptions {
  readonly deleteMail?: true
  readonly programs?: true
  readonly dryRun?: true
  readonly yes?: true
}

interface Outcome {
  readonly gone: string[]
  readonly stays: Place[]
}

const stopMillisecondsMax = 90_000
const disableMillisecondsMax = 180_000

export async function uninstall(options: UninstallOptions): Promise<void> {
  if (process.getuid?.() !== 0) throw new CommandError('only root can uninstall a mail host')
  process.umask(0o022)
  const found = locateHome(options)
  const home = homeAt(found.path)
  const outcome: Outcome = { gone: [], stays: [] }
  const made = await MadeThings.read(home.path)
  if (made.all().length === 0 && found.exists)
    throw new CommandError(
      `${home.path} was not made by 'quaver setup' (there is no made.json): nothing is known of it that could be removed`,
    )
  if (made.all().length > 0) {
    const running = await isRunning(home)
    const messages = running ? undefined : await messagesLeft(home)
    await confirm(question(home, options, messages), options.yes === true || options.dryRun === true)
    if (options.dryRun === true) return showPlan(made, options)
    await underLock(home, async () => {
      await stopServices(home, outcome)
      await takeAway(home, made, outcome, options.deleteMail === true)
    })
  }
  await programs(outcome, options)
  report(outcome, options)
}

async function underLock(home: Home, work: () => Promise<void>): Promise<void> {
  const unlock = await lockDirectory(dirname(home.path), 0)
  try {
    await work()
  } catch (error) {
    throw asCommandError(error)
  } finally {
    await unlock()
  }
}

function question(home: Home, { deleteMail: deletes }: UninstallOptions, messages: number | undefined): string {
  if (deletes === true) return `remove Quaver from this machine, with all mail in ${home.path}`
  const has = messages === undefined ? 'mail' : `${messages} messages`
  return `remove Quaver from this machine; ${has} in ${home.path} would stay`
}

function showPlan(made: MadeThings, options: UninstallOptions): void {
  const paths = made
    .all()
    .filter(({ kind }) => kind !== 'test' && kind !== 'unseen-password')
    .map(({ path }) => path)
  if (options.json === true) printJson({ wouldRemove: paths })
  else for (const path of paths) print(path)
}

async function stopServices(home: Home, { gone }: Outcome): Promise<void> {
  for (const name of initSystemNames) {
    if (enabledBy(name) === undefined) continue
    const { disable } = initSystems[name]
    try {
      await promisify(execFile)('/bin/sh', ['-c', disable], { timeout: disableMillisecondsMax, cwd: '/' })
      gone.push(`the service of ${initSystems[name].title}`)
    } catch (error) {
      throw new CommandError(`${disable}: ${describeError(error)}: do it by hand, then again: quaver uninstall`)
    }
  }
  if (await isRunning(home)) await askAll(socketPath(home, 'start'), { op: 'stop' }, realClock, stopMillisecondsMax)
}

async function takeAway(home: Home, made: MadeThings, outcome: Outcome, deletes: boolean): Promise<void> {
  const { gone, stays } = outcome
  const messages = await messagesLeft(home)
  const outside = made.all().flatMap(({ kind, path }) => (kind === 'directory' && !isIn(path, home.path) ? [path] : []))
  const places = [home.path, ...outside]
  const keepsMail = messages > 0 && !deletes
  if (keepsMail)
    stays.push({
      path: home.path,
      why: `${messages} messages are in it, with accounts, queue and keys of DKIM: --delete-mail deletes them`,
    })
  else await removeDomains(home, outcome, deletes)
  for (const name of initSystemNames) {
    const removed = await removeService(made, home, name)
    gone.push(...removed.gone)
    stays.push(
      ...removed.kept.map((text) => ({ path: text.split(' ')[0] ?? '', why: text.slice(text.indexOf(' ') + 1) })),
    )
  }
  await removeLeftovers(home)
  const keys = keepsMail ? await signingPaths(home) : []
  await removeKept(home, keepsMail, gone)
  for (const thing of made.toRemove()) {
    if (thing.kind === 'account' || isIn(home.path, thing.path)) continue
    // Keys of a domain whose mail stays: their records are in the DNS.
    if (keys.some((path) => isIn(thing.path, path))) continue
    const why = await made.remove(thing)
    if (why === undefined) gone.push(thing.path)
    // What is below it says why.
    else if (why !== 'is not empty') stays.push({ path: thing.path, why })
  }
  await removeAccounts(made, outcome, places)
  await removeHome(home, made, outcome)
  const spokenOf = [...stays.map(({ path }) => path), join(home.path, 'made.json')]
  const kept = keepsMail
    ? [home.queue, home.auth, home.users, home.mail, home.alias, join(home.control, 'virtualdomains'), ...keys]
    : []
  const outer = places.filter((path) => !places.some((other) => other !== path && isIn(path, other)))
  stays.push(...(await leftBelow(outer, [...spokenOf, ...kept])))
}

async function signingPaths(home: Home): Promise<string[]> {
  const control = await realpath(home.control).catch(() => home.control)
  return [keysDirectory({ ...home, control }), join(control, 'dkimdomains')]
}

function isIn(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}

/** Their accounts and aliases, what is left of mail, and, where it was asked for, whatever keys they have. */
async function removeDomains(home: Home, { gone, stays }: Outcome, deletes: boolean): Promise<void> {
  if ((await realFiles.facts(home.users)) === undefined) return
  const accounts = await listAccounts(realFiles, home)
  for (const { domain } of await listDomains(realFiles, home)) {
    await removeDomain(realFiles, home, domain, true)
    if (deletes) await removeKeys(realFiles, home, domain)
    if (deletes && existsSync(join(home.control, 'dkimdomains'))) await setSelectors(realFiles, home, domain, [])
    gone.push(`the domain ${domain} with its accounts`)
  }
  for (const account of accounts) {
    const left = await deleteMail(home, parseAccountAddress(account.address), account)
    if (left !== undefined) stays.push({ path: account.home, why: left })
  }
}

async function messagesLeft(home: Home): Promise<number> {
  const boxes = (await realFiles.facts(home.users)) === undefined ? [] : await listAccounts(realFiles, home)
  let count = await leftMessages(home.queue).catch((error: unknown) => {
    throw new CommandError(`${home.queue}: nobody can tell whether there is mail: ${describeError(error)}`)
  })
  for (const { maildir, uid, gid } of boxes) count += await messagesIn(maildir, { uid, gid })
  const alias = await realFiles.facts(home.alias)
  if (alias !== undefined) count += await messagesIn(join(home.alias, 'Maildir'), { uid: alias.uid, gid: alias.uid })
  return count
}

/** An account that still owns files is not removed: its number could pass to another, and the files with it. */
async function removeAccounts(made: MadeThings, { gone, stays }: Outcome, places: readonly string[]): Promise<void> {
  const owners = await ownersBelow(places)
  for (const thing of made.all().filter(({ kind }) => kind === 'account')) {
    const account = await findAccount(thing.path)
    const owned = account === undefined ? undefined : owners.get(account.uid)
    if (owned !== undefined) stays.push({ path: `account ${thing.path}`, why: `owns ${owned}` })
    else {
      if (account !== undefined) await removeAccount(thing.path)
      await made.forget(thing.path)
      gone.push(`account ${thing.path}`)
    }
  }
}

/** With the directories above it that were made for it, once nothing else is left. */
async function removeHome(home: Home, made: MadeThings, { gone }: Outcome): Promise<void> {
  const last = made.toRemove().filter(({ path }) => isIn(home.path, path))
  if (made.all().length > last.length) return
  await made.end()
  for (const one of last) if ((await made.remove(one)) === undefined) gone.push(one.path)
}

/** Of a tarball; a package manager removes its own. */
async function programs({ gone, stays }: Outcome, options: UninstallOptions): Promise<void> {
  if (options.programs !== true) return
  const tree = await programTree()
  if (tree.kind === 'others') throw new CommandError(tree.text)
  const removed = await removeTree(tree)
  gone.push(...removed.gone)
  stays.push(...removed.stays)
}

function report({ gone, stays }: Outcome, options: UninstallOptions): void {
  if (options.json === true) return printJson({ removed: gone, stays })
  if (gone.length === 0 && stays.length === 0) return print('nothing of Quaver is set up on this machine')
  print(`removed: ${gone.length} things`)
  if (stays.length === 0) return print('nothing is left of what Quaver made')
  print(styled('bold', 'Stays'))
  for (const { path, why } of stays) print(`  ${path}  ${styled('dim', why)}`)
}
