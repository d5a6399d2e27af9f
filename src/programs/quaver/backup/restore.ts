/** `quaver restore FILE`: restores a home from a backup, where none exists. First reads and checks the whole file; then unpacks
 *  it beside its place, and moves it there at the end.
 *  Knows:  the order. Never: sends messages of the restored queue unless asked to: they may have been sent since the backup.
 *  Fails:  then nothing is changed; a killed restore is begun again, or finished, by the next. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describeError } from '../../../base/outcome.ts'
import { type BackupHead, BackupError, readBackup } from '../../../stores/backup/archive.ts'
import { StagedHome } from '../../../stores/backup/staged-home.ts'
import { configurationOf, homePathFault, systemHome } from '../../../stores/home/find.ts'
import { lockDirectory } from '../../../stores/home/directory-lock.ts'
import { type Home, homeAt } from '../../../stores/home/layout.ts'
import { MadeThings } from '../../../stores/installation/made.ts'
import { heldDrop } from '../../../stores/queue/left-messages.ts'
import { makeAccount, removeAccount } from '../../../system/account-changes.ts'
import { openQueue } from '../closed-home.ts'
import type { GlobalOptions } from '../context.ts'
import { CommandError, exitCode } from '../exit.ts'
import { print, printJson, styled, when } from '../output.ts'
import { progress } from '../progress.ts'
import { asCommandError } from '../setup/known-errors.ts'
import { ownerFinder, type Needed, neededBy, renumberAssign } from './restore-owners.ts'

export interface RestoreOptions extends GlobalOptions {
  readonly release?: true
  readonly dryRun?: true
}

interface Report {
  readonly file: string
  readonly home: string
  readonly madeMs: number
  readonly mail: boolean
  readonly entries: number
  readonly accountsMade: readonly string[]
  /** Lines of users/assign whose account has other numbers, or whose home is elsewhere. */
  readonly assignLinesChanged: number
  readonly messages: number
  readonly held: number
  /** Messages handed in while nothing ran, and kept apart. */
  readonly dropped: number
}

const dropDirectory = 'queue/drop'
const keptApart = `queue/${heldDrop}`

export async function restore(file: string, options: RestoreOptions): Promise<void> {
  process.umask(0o022)
  const path = resolve(file)
  const home = homeFor(options)
  const staged = new StagedHome(home, configurationOf(home.path))
  try {
    const found = await check(path, home, options)
    if (options.dryRun === true) return tellDry(found, staged, options)
    const unlock = await lockDirectory(existingAbove(home.path), 0)
    try {
      const ended = await staged.finish()
      if (ended !== undefined) return tell(JSON.parse(ended) as Report, options, 'ended what was begun')
      refuse(found, staged)
      tell(await carryOut(path, home, found, staged, options), options)
    } finally {
      await unlock()
    }
  } catch (error) {
    throw error instanceof BackupError
      ? new CommandError(`${error.message}: nothing was restored`)
      : asCommandError(error)
  }
}

function homeFor(options: GlobalOptions): Home {
  const path = resolve(options.home ?? process.env['QUAVER_HOME'] ?? systemHome)
  const fault = homePathFault(path)
  if (fault !== undefined) throw new CommandError(fault)
  return homeAt(path)
}

/** The file's content, and its needs on this machine. */
interface Found {
  readonly head: BackupHead
  readonly entries: number
  readonly needed: Needed
  readonly faults: readonly string[]
}

async function check(path: string, home: Home, options: RestoreOptions): Promise<Found> {
  let head: BackupHead | undefined
  let entries = 0
  const show = progress('checking, entries', undefined, options.json === true)
  const needed = neededBy()
  try {
    await readBackup(
      path,
      (one) => (head = one),
      async (entry, content) => {
        show.done(++entries)
        await needed.see(entry, content)
      },
    )
  } finally {
    show.end()
  }
  if (head === undefined) throw new BackupError(`${path} says nothing of itself`)
  const missing = await needed.missing()
  const faults = missing.others.map(
    (name) => `there is no account '${name}', to which files or mail belong: make it first, as with useradd ${name}`,
  )
  if (process.getuid?.() === 0 && missing.ours.length > 0 && head.home !== home.path)
    faults.push(...missing.ours.map((name) => `there is no account '${name}': make it first`))
  return { head, entries, needed: missing, faults }
}

function refuse({ faults }: Found, staged: StagedHome): void {
  const obstacles = staged
    .obstacles()
    .map((path) => `${path} is not empty: move it away first, or name another place with --home`)
  if (obstacles.length + faults.length > 0)
    throw new CommandError([...obstacles, ...faults, 'nothing was restored'].join('\n'))
}

async function carryOut(
  path: string,
  home: Home,
  found: Found,
  staged: StagedHome,
  options: RestoreOptions,
): Promise<Report> {
  const { head, entries, needed } = found
  const accounts: string[] = []
  try {
    await staged.begin()
    for (const name of needed.ours) {
      await makeAccount(name, home[needed.homeOf(name)])
      accounts.push(name)
    }
    const dropped = await unpack(path, home, found, staged, options)
    const assignLinesChanged = await renumberAssign(staged.home, head.home, home.path)
    if (needed.ours.length > 0) await noteAccounts(staged, needed.ours)
    await staged.letIn()
    const { messages, held } = await holdQueue(staged.home, options)
    const report: Report = {
      ...{ file: path, home: home.path, madeMs: head.madeMs, mail: head.mail, entries },
      ...{ accountsMade: needed.ours, assignLinesChanged, messages, held, dropped },
    }
    await staged.complete(JSON.stringify(report))
    await staged.finish()
    return report
  } catch (error) {
    await staged.discard().catch(() => undefined)
    for (const name of accounts) await removeAccount(name).catch(() => undefined)
    throw error instanceof BackupError ? error : new CommandError(`${describeError(error)}: nothing was restored`)
  }
}

async function unpack(
  path: string,
  home: Home,
  { head, entries }: Found,
  staged: StagedHome,
  options: RestoreOptions,
): Promise<number> {
  const ownerOf = ownerFinder()
  const show = progress('restoring, entries', entries, options.json === true)
  let [count, dropped] = [0, 0]
  try {
    await readBackup(
      path,
      () => undefined,
      async (entry, content) => {
        show.done(++count)
        // Things made on another machine, or for another path, may not exist here.
        if (entry.path === 'made.json' && (head.home !== home.path || process.getuid?.() !== 0)) return
        const isDropped = entry.path.startsWith(`${dropDirectory}/`)
        if (isDropped) dropped++
        const isApart = isDropped && options.release !== true
        const at = isApart ? entry.path.replace(dropDirectory, keptApart) : entry.path
        await staged.add({ ...entry, path: at }, content, ownerOf)
      },
    )
    return options.release === true ? 0 : dropped
  } finally {
    show.end()
  }
}

/** What 'quaver uninstall' takes away again. */
async function noteAccounts(staged: StagedHome, names: readonly string[]): Promise<void> {
  const made = await MadeThings.read(staged.home.path)
  for (const name of names) await made.note({ kind: 'account', path: name })
}

async function holdQueue(home: Home, options: RestoreOptions): Promise<{ messages: number; held: number }> {
  if (!existsSync(join(home.queue, 'queue.db'))) return { messages: 0, held: 0 }
  const queue = await openQueue(home)
  try {
    if (options.release !== true) {
      const { held, heldBefore } = await queue.holdAll()
      return { messages: held + heldBefore, held: held + heldBefore }
    }
    let [messages, held] = [0, 0]
    for await (const message of queue.messages()) {
      messages++
      if (message.held) held++
    }
    return { messages, held }
  } finally {
    await queue.close()
  }
}

function existingAbove(path: string): string {
  let directory = dirname(path)
  while (!existsSync(directory)) directory = dirname(directory)
  return directory
}

function tellDry({ head, entries, needed, faults }: Found, staged: StagedHome, options: RestoreOptions): void {
  const obstacles = staged.obstacles()
  if (faults.length + obstacles.length > 0) process.exitCode = exitCode.failed
  if (options.json === true)
    return printJson({ ...head, entries, wouldMakeAccounts: needed.ours, faults, notEmpty: obstacles, done: false })
  print(
    `${styled('green', 'whole')}     ${entries} entries of ${head.home}, made ${when(head.madeMs)} by version ${head.version}`,
  )
  print(`holds     configuration, accounts, keys, queue${head.mail ? ', mail in mailboxes' : '; no mail in mailboxes'}`)
  if (needed.ours.length > 0) print(`makes     accounts of the machine: ${needed.ours.join(', ')}`)
  for (const path of obstacles) print(`${styled('red', 'not empty')} ${path}: move it away first`)
  for (const fault of faults) print(`${styled('red', 'missing')}   ${fault}`)
}

function tell(report: Report, options: RestoreOptions, how = 'restored'): void {
  if (options.json === true) return printJson({ ...report, done: true })
  const { home, file, madeMs, mail, accountsMade, assignLinesChanged, messages, held, dropped } = report
  print(
    `${styled('green', how)}  ${home} as it was on ${when(madeMs)} (${file}), ${mail ? 'with' : 'without'} mail in mailboxes`,
  )
  if (accountsMade.length > 0) print(`made      accounts of the machine: ${accountsMade.join(', ')}`)
  if (assignLinesChanged > 0)
    print(
      `changed   ${assignLinesChanged} lines of users/assign: accounts have other numbers here, or the home is elsewhere`,
    )
  if (held > 0) {
    print(
      `${styled('yellow', 'held')}      ${held} of ${messages} messages in the queue: what was sent since the backup would be sent again`,
    )
    print(
      `          quaver queue list shows them; quaver queue release --all sends them, quaver queue delete ID does not`,
    )
  } else if (messages > 0)
    print(`queue     ${messages} messages are sent when it starts; those that were sent since the backup, again`)
  if (dropped > 0)
    print(
      `${styled('yellow', 'held')}      ${dropped} handed in while nothing ran, in ${join(home, keptApart)}: moved to ${dropDirectory}, they are sent`,
    )
  print(
    `next      quaver setup ADDRESS makes what a machine needs besides (services at boot, links); then quaver start`,
  )
}
