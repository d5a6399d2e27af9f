/** What `quaver adopt` says of a qmail's home: what was found, what changes, what stays where it is. */
import type { Home } from '../../stores/home/layout.ts'
import type { HomePlan } from '../../stores/qmail-home/plan.ts'
import type { QmailQueue } from '../../stores/qmail-queue/read-queue.ts'
import { harmless, print, styled } from './output.ts'

/** What it is about. */
export interface Pending {
  readonly source: string
  readonly home: Home
  readonly plan: HomePlan
  /** Undefined: it stays where it is. */
  readonly queue: QmailQueue | undefined
  /** What must be mended first. */
  readonly faults: readonly string[]
}

export interface Counts {
  readonly files: Readonly<Record<'control' | 'users' | 'alias', number>>
  readonly assignments: number
  readonly queue: {
    readonly messages: number
    readonly notRoutedYet: number
    readonly waiting: number
    readonly done: number
  }
}

export function countsOf({ plan, queue }: Pending): Counts {
  const files = { control: 0, users: 0, alias: 0 }
  for (const { found, to } of plan.moves) {
    const [room] = to.split('/')
    if (found.kind !== 'directory' && (room === 'control' || room === 'users' || room === 'alias')) files[room]++
  }
  let [waiting, done] = [0, 0]
  for (const message of queue?.messages ?? []) {
    if (message.kind === 'queued') waiting += message.recipients.length
    else {
      const recipients = [message.local, message.remote].flatMap((channel) => channel?.recipients ?? [])
      const doneHere = recipients.filter(({ isDone }) => isDone).length
      done += doneHere
      waiting += recipients.length - doneHere
    }
  }
  const messages = queue?.messages ?? []
  const notRoutedYet = messages.filter(({ kind }) => kind === 'queued').length
  return { files, assignments: plan.assignLines, queue: { messages: messages.length, notRoutedYet, waiting, done } }
}

export function report({ source, home, plan, queue, faults }: Pending, counts: Counts): object {
  return {
    source,
    home: home.path,
    found: counts,
    changes: plan.changes,
    left: plan.left,
    broken: queue?.broken ?? [],
    strange: queue?.strange ?? [],
    leftovers: queue?.leftovers ?? [],
    faults,
  }
}

export function tell({ source, home, plan, queue, faults }: Pending, counts: Counts, isBrokenLeft: boolean): void {
  const { files, assignments } = counts
  print(`${styled('bold', source)} moves into ${styled('bold', home.path)}`)
  print(`found   control: ${files.control} files; users: ${assignments} assignments; alias: ${files.alias} files`)
  if (queue === undefined) print('        queue: it stays where it is')
  else {
    const { messages, notRoutedYet, waiting, done } = counts.queue
    print(
      `        queue: ${messages === 1 ? '1 message' : `${messages} messages`}, ${notRoutedYet} of them not routed yet; recipients: ${waiting} wait, ${done} are done`,
    )
  }
  for (const text of plan.changes) print(`${styled('yellow', 'changes')} ${harmless(text)}`)
  for (const text of plan.left) print(`${styled('yellow', 'stays')}   ${harmless(text)}`)
  for (const { file, fault } of queue?.strange ?? [])
    print(`${styled('yellow', 'stays')}   queue/${harmless(file)} ${fault}`)
  if (isBrokenLeft)
    for (const { file, fault } of queue?.broken ?? [])
      print(`${styled('red', 'stays')}   queue/${harmless(file)} ${fault}`)
  const leftovers = queue?.leftovers.length ?? 0
  if (leftovers > 0)
    print(`${styled('yellow', 'stays')}   ${leftovers} leftovers in the queue that never were messages, or have ended`)
  if (process.getuid?.() !== 0)
    print(`${styled('yellow', 'changes')} everything will belong to you: only root makes a home that serves others`)
  for (const text of faults) print(`${styled('red', 'fault')}   ${harmless(text)}`)
}
