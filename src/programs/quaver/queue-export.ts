/** `quaver queue export DIRECTORY`: writes the messages of a home that does not run as a qmail's queue. Properties that it
 *  cannot hold are reported before anything is written. */
import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import type { Home } from '../../stores/home/layout.ts'
import { dropDirectory } from '../../stores/drop/drop.ts'
import { lossesOf, outOfQueue } from '../../stores/qmail-queue/out-of-queue.ts'
import { readQmailQueue } from '../../stores/qmail-queue/read-queue.ts'
import { QmailQueueWriter, type QueueOwners } from '../../stores/qmail-queue/write-queue.ts'
import type { ClosedQueue } from '../../stores/queue/closed-queue.ts'
import type { QueuedMessage } from '../../stores/queue/contract.ts'
import { findAccount } from '../../system/accounts.ts'
import { openQueue } from './closed-home.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError } from './exit.ts'
import { harmless, print, printJson, styled } from './output.ts'
import { progress } from './progress.ts'

export interface ExportOptions extends GlobalOptions {
  readonly dryRun?: true
  readonly move?: true
  readonly lossy?: true
}

interface Loss {
  readonly id: number
  readonly sender: string
  readonly losses: readonly string[]
}

export async function exportQueue(directory: string, options: ExportOptions): Promise<void> {
  process.umask(0o077)
  const home = requireHome(options)
  const target = resolve(directory)
  refuseTarget(target)
  const owners = await newOwners(target)
  if (!existsSync(join(home.queue, 'queue.db')))
    throw new CommandError(`${home.queue} has no messages: nothing to write`)
  const ours = await openQueue(home)
  try {
    const messages = await Array.fromAsync(ours.messages())
    const losses: Loss[] = messages
      .map((message) => ({ id: message.id, sender: message.sender, losses: lossesOf(message) }))
      .filter(({ losses: some }) => some.length > 0)
    const dropped = droppedIn(home)
    if (options.json !== true) tell(target, messages.length, losses, dropped, owners)
    const refused = losses.length > 0 && options.lossy !== true
    const isDone = !refused && options.dryRun !== true
    if (isDone) await write(ours, messages, target, owners, options)
    if (options.json === true)
      printJson({ home: home.path, queue: target, messages: messages.length, losses, dropped, done: isDone })
    else if (isDone) tellNext(home, options)
    if (refused && options.dryRun !== true)
      throw new CommandError('nothing was written: --lossy writes these messages without what is named above')
  } finally {
    await ours.close()
  }
}

async function write(
  ours: ClosedQueue,
  messages: readonly QueuedMessage[],
  target: string,
  owners: QueueOwners,
  options: ExportOptions,
): Promise<void> {
  const show = progress('writing messages', messages.length, options.json === true)
  try {
    const writer = await QmailQueueWriter.at(target, owners)
    for (const [index, message] of messages.entries()) {
      const leaving = outOfQueue(message, (ms) => ms - ours.aheadMs)
      await writer.add({ ...leaving, content: () => ours.content(message) })
      show.done(index + 1)
    }
  } catch (error) {
    throw new CommandError(
      `${describeError(error)}: ${target} is not whole; remove it (or what is new in it), and begin again. Our queue is as it was`,
    )
  } finally {
    show.end()
  }
  if (options.move === true) await ours.remove(messages)
}

/** Refuses a directory with other content. */
function refuseTarget(target: string): void {
  try {
    if (!existsSync(target)) return
    if (readdirSync(target).length === 0) return
    const { isRunning } = readQmailQueue(realpathSync(target))
    if (isRunning) throw new CommandError(`qmail-send runs on ${target}: stop it first`)
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError(`${describeError(error)}; give a new directory, or a qmail's queue`)
  }
}

/** Of a queue that is made by root: qmail's accounts, if this machine has them. */
async function newOwners(target: string): Promise<QueueOwners> {
  if (process.getuid?.() !== 0 || existsSync(join(target, 'mess'))) return undefined
  const [qmailq, qmails, qmailr] = await Promise.all(['qmailq', 'qmails', 'qmailr'].map((name) => findAccount(name)))
  return qmailq && qmails && qmailr && { qmailq, qmails, qmailr }
}

/** Messages handed in while nothing ran, and not in the queue yet. */
function droppedIn(home: Home): number {
  try {
    return readdirSync(dropDirectory(home)).filter((name) => !name.startsWith('.')).length
  } catch {
    return 0
  }
}

function tell(target: string, count: number, losses: readonly Loss[], dropped: number, owners: QueueOwners): void {
  print(`${count} ${count === 1 ? 'message' : 'messages'} into ${styled('bold', target)}`)
  for (const { id, sender, losses: some } of losses)
    print(`${styled('yellow', 'lost')}    of ${id} from <${harmless(sender)}>: ${some.join(', ')}`)
  if (dropped > 0)
    print(
      `${styled('yellow', 'stays')}   ${dropped} in queue/drop: 'quaver start' and 'quaver stop' take them into the queue first`,
    )
  if (owners === undefined && !existsSync(join(target, 'mess')))
    print(
      `${styled('yellow', 'changes')} all of it will belong to you: there are no accounts qmailq, qmails, qmailr, or you are not root`,
    )
}

function tellNext(home: Home, { move }: ExportOptions): void {
  print(
    `${styled('green', 'done')}    ${move === true ? `they are no longer in ${home.queue}` : `they are still in ${home.queue} too: do not start both, or use --move`}`,
  )
}
