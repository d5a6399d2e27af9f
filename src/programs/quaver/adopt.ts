/** `quaver adopt DIRECTORY`: copies a qmail's home and queue into a home of ours, once, while neither runs. The old one is not
 *  changed. First it reports what it found, what changes and what is left behind; only then it writes. */
import { existsSync, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { Control } from '../../stores/control/control.ts'
import { routingTables } from '../../stores/control/routing-tables.ts'
import { accountName } from '../../stores/home/account-name.ts'
import { accountOf, homeAt, type Home, isOnRequest, type Role } from '../../stores/home/layout.ts'
import { HomeError, makeHome, type OwnerOf } from '../../stores/home/make.ts'
import { findOwners } from '../../stores/home/owners.ts'
import { carryHome, conflictsOf } from '../../stores/qmail-home/carry.ts'
import { type HomePlan, planHome } from '../../stores/qmail-home/plan.ts'
import { intoQueue } from '../../stores/qmail-queue/into-queue.ts'
import { type QmailMessage, type QmailQueue, readQmailQueue } from '../../stores/qmail-queue/read-queue.ts'
import type { MovingIn } from '../../stores/queue/closed-queue.ts'
import { compileAssign } from '../../stores/users/assign.ts'
import { findAccount } from '../../system/accounts.ts'
import { realClock } from '../../system/clock.ts'
import { type Pending, countsOf, report, tell } from './adopt-report.ts'
import { openQueue } from './closed-home.ts'
import { type GlobalOptions, locateHome } from './context.ts'
import { CommandError } from './exit.ts'
import { harmless, print, printJson, styled } from './output.ts'
import { progress } from './progress.ts'

export interface AdoptOptions extends GlobalOptions {
  readonly dryRun?: true
  /** false: the queue stays where it is. */
  readonly queue: boolean
  readonly leaveBroken?: true
  readonly again?: true
}

interface Adoption extends Pending {
  readonly ownerOf: OwnerOf
}

export async function adopt(directory: string, options: AdoptOptions): Promise<void> {
  const adoption = await consider(directory, options)
  const counts = countsOf(adoption)
  if (options.json !== true) tell(adoption, counts, options.leaveBroken === true)
  const isDone = adoption.faults.length === 0 && options.dryRun !== true
  if (isDone) await carryOut(adoption, options)
  if (options.json === true) printJson({ ...report(adoption, counts), done: isDone })
  else if (isDone) tellNext(adoption.home)
  if (adoption.faults.length > 0) throw new CommandError('nothing was written: mend what is said above first')
}

async function consider(directory: string, options: AdoptOptions): Promise<Adoption> {
  const source = sourceAt(directory)
  const home = homeAt(locateHome(options).path)
  if (existsSync(home.path) && realpathSync(home.path) === source)
    throw new CommandError(`${source} is the home itself: give Quaver one of its own, as --home /var/lib/quaver`)
  try {
    const plan = planHome(source)
    const queue = options.queue ? queueIn(source) : undefined
    const signs = plan.moves.some(({ to }) => to === 'control/domainkeys')
    const { ownerOf, fault } = await ownersFor(home, signs)
    const faults = [
      ...plan.faults,
      ...fault,
      ...homeFaults(plan, home, ownerOf),
      ...(await queueFaults(home, queue, options)),
    ]
    return { source, home, plan, queue, ownerOf, faults }
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError(describeError(error))
  }
}

function queueIn(source: string): QmailQueue {
  const directory = join(source, 'queue')
  if (!existsSync(directory)) throw new CommandError(`${directory} is not there: --no-queue takes the rest`)
  return readQmailQueue(realpathSync(directory))
}

function sourceAt(directory: string): string {
  try {
    return realpathSync(directory)
  } catch (error) {
    throw new CommandError(describeError(error))
  }
}

function homeFaults(plan: HomePlan, home: Home, ownerOf: OwnerOf): string[] {
  const closed = ownerOf === undefined ? undefined : closedAbove(home.path)
  const reach = `${closed} may not be entered by other accounts, and the home's are others: chmod o+x ${closed}`
  return [...(closed === undefined ? [] : [reach]), ...conflictFaults(plan, home)]
}

/** The home may be made yet; what is above it is there. */
function closedAbove(path: string): string | undefined {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    const facts = statSync(at, { throwIfNoEntry: false })
    if (facts !== undefined && (facts.mode & 0o001) === 0) return at
  }
  return undefined
}

function conflictFaults(plan: HomePlan, home: Home): string[] {
  return conflictsOf(plan, home).map(
    (path) => `${toText(path)} is there already and says something else: move it away, or make it the same`,
  )
}

async function queueFaults(home: Home, queue: QmailQueue | undefined, options: AdoptOptions): Promise<string[]> {
  if (queue === undefined) return []
  const faults: string[] = []
  if (queue.isRunning) faults.push(`qmail-send runs on ${queue.directory}: stop it, and whatever hands mail in there`)
  if (options.leaveBroken !== true)
    faults.push(
      ...queue.broken.map(({ file, fault }) => `queue/${harmless(file)} ${fault}; --leave-broken takes the others`),
    )
  if (!existsSync(join(home.queue, 'queue.db'))) return faults
  const ours = await openQueue(home)
  try {
    const when = ours.arrivalOf(originOf(queue))
    if (when !== undefined && options.again !== true)
      faults.push(
        `the messages of ${queue.directory} were taken over on ${when.toISOString()}: --no-queue leaves them, --again sends again what is there`,
      )
  } finally {
    await ours.close()
  }
  return faults
}

/** Those of every home. */
const rolesOfHome = Object.keys(accountOf).filter((role): role is Role => role !== 'root' && !isOnRequest(role))

/** If the caller is not root, the caller owns all of the home: for a trial. */
async function ownersFor(home: Home, signs: boolean): Promise<{ ownerOf: OwnerOf; fault: string[] }> {
  if (process.getuid?.() !== 0) return { ownerOf: undefined, fault: [] }
  try {
    const overrides = new Control(home.control, realClock).map('roles')
    return {
      ownerOf: await findOwners(new Set([...rolesOfHome, ...(signs ? (['signer'] as const) : [])]), overrides),
      fault: [],
    }
  } catch (error) {
    if (!(error instanceof HomeError)) throw error
    return { ownerOf: undefined, fault: error.message.split('\n') }
  }
}

async function carryOut({ home, plan, queue, ownerOf }: Adoption, options: AdoptOptions): Promise<void> {
  // Modes are set by calls of their own; the queue's database, which has none, is nobody else's.
  process.umask(0o077)
  await makeHome(home.path, ownerOf).catch((error: unknown) => {
    throw error instanceof HomeError ? new CommandError(error.message) : error
  })
  const uids = new Set(rolesOfHome.map((role) => ownerOf?.(role).uid))
  await carryHome(
    plan,
    home,
    ownerOf && {
      alias: ownerOf('alias'),
      signer: ownerOf('signer'),
      secretsOf: (reader) => (reader === 'queue' || reader === 'remote' ? ownerOf(reader) : undefined),
      isOurs: (uid) => uids.has(uid),
    },
  )
  if (plan.assignLines > 0) {
    const compiled = await compileAssign(home)
    if (!compiled.done) throw new CommandError(compiled.failure.logText)
  }
  if (queue !== undefined && queue.messages.length > 0) await takeMessages(home, queue, options)
}

async function takeMessages(home: Home, queue: QmailQueue, options: AdoptOptions): Promise<void> {
  const tables = routingTables(new Control(home.control, realClock))
  if (tables === undefined) throw new CommandError(`${home.control}/locals and me are missing: mail cannot be routed`)
  const ours = await openQueue(home)
  const show = progress('taking messages', queue.messages.length, options.json === true)
  try {
    const { aheadMs, nowMs } = ours
    const uidOf = await invokerUids(home)
    const moving: MovingIn[] = [...queue.messages].sort(byBirth).map((found) => {
      const message = intoQueue(found, ours.nextId(), { aheadMs, nowMs, tables, uidOf })
      return { message, contentPath: found.contentPath }
    })
    await ours.takeIn(originOf(queue), moving, realClock.now(), show.done)
  } finally {
    show.end()
    await ours.close()
  }
}

/** Ids ascend, and the queue is listed by them. What has no birth yet is the youngest. */
function byBirth(one: QmailMessage, other: QmailMessage): number {
  const bornMs = (message: QmailMessage): number => (message.kind === 'routed' ? message.bornMs : Number.MAX_VALUE)
  return bornMs(one) - bornMs(other)
}

/** qmail's accounts have other uids in a queue that comes from elsewhere: who they are is said by the message. */
async function invokerUids(home: Home): Promise<(invoker: QmailMessage['invoker']) => number> {
  const overrides = new Control(home.control, realClock).map('roles')
  const queueUid = statSync(home.queue).uid
  const uidOf = async (role: Role): Promise<number> =>
    (await findAccount(accountName(overrides, role)).catch(() => undefined))?.uid ?? queueUid
  const [network, alias] = await Promise.all([uidOf('smtpd'), uidOf('alias')])
  return (invoker) => {
    if (typeof invoker === 'number') return invoker
    return invoker === 'network' ? network : invoker === 'alias' ? alias : queueUid
  }
}

function originOf({ directory, identity }: QmailQueue): { path: string; identity: string } {
  return { path: directory, identity }
}

function tellNext(home: Home): void {
  print(
    `${styled('green', 'done')}    the old home is as it was: start no qmail on it again, it would send the same mail`,
  )
  print(`next    quaver control check --home ${home.path}; then quaver start --home ${home.path}`)
}
