/** Faults of the queue for `doctor`: a damaged database, stuck messages, missing bodies, and leftovers of an earlier repair.
 *  While the queue runs, a copy is examined.
 *  Never:  removes a message by itself. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeError } from '../../../base/outcome.ts'
import { askAll } from '../../../clients/admin/ask.ts'
import { AccountError } from '../../../stores/home/account-error.ts'
import { type Home, socketPath } from '../../../stores/home/layout.ts'
import { ClosedQueue } from '../../../stores/queue/closed-queue.ts'
import { StoreError } from '../../../stores/queue/contract.ts'
import { examineCopy, type QueueFault } from '../../../stores/queue/examine.ts'
import { damageMarker, openQueue } from '../../../stores/queue/open.ts'
import { noteDamage } from '../../../stores/queue/salvage.ts'
import { asOwner } from '../../../system/as-owner.ts'
import { realClock } from '../../../system/clock.ts'
import { realFiles } from '../../../system/files.ts'
import { isRunning } from '../context.ts'
import { CommandError } from '../exit.ts'
import { finding, type MachineFinding } from '../machine/finding.ts'
import { withQueueCopy } from '../queue-copy.ts'

/** A finding, and how to mend it if that is safe. */
export interface QueueFinding extends MachineFinding {
  /** Resolves to what there is to tell of it. */
  readonly mend?: () => Promise<string | undefined>
}

/** A larger one is examined only on request: its copy takes as much room. */
const bytesLookedAtMax: number = 1024 * 1024 * 1024
/** A new process salvages before it answers. */
const salvageMillisecondsMax = 120_000
const pollMilliseconds = 200

type Fault =
  | QueueFault
  /** `busy`: another command is copying the queue. */
  | { readonly kind: 'busy' | 'unknown'; readonly id: undefined; readonly text: string }

/** `isThorough`: whatever the queue's size. */
export async function queueFaultFindings(home: Home, isQuiet: boolean, isThorough: boolean): Promise<QueueFinding[]> {
  const database = join(home.queue, 'queue.db')
  const facts = statSync(database, { throwIfNoEntry: false })
  if (facts === undefined) return []
  if (facts.size > bytesLookedAtMax && !isThorough)
    return [
      ...leftovers(home),
      finding(
        'note',
        'queue',
        `${database} is large, and was not looked into`,
        'quaver doctor --thorough copies it and looks',
      ),
    ]
  return [...(await found(home, isQuiet)).map((fault) => asFinding(home, database, fault)), ...leftovers(home)]
}

async function found(home: Home, isQuiet: boolean): Promise<Fault[]> {
  try {
    return await withQueueCopy(home, isQuiet, async (copy) => {
      const { directory } = await copy()
      return await asOwner(statSync(home.queue), () => Promise.resolve(examineCopy(directory)))
    })
  } catch (error) {
    const text = describeError(error)
    if (error instanceof AccountError) return [{ kind: 'busy', id: undefined, text }]
    // Not even a copy can be made.
    const isDamage = (error instanceof StoreError && error.kind === 'damaged') || /malformed|not a database/.test(text)
    return [{ kind: isDamage ? 'damaged' : 'unknown', id: undefined, text }]
  }
}

function asFinding(home: Home, database: string, { kind, id, text }: Fault): QueueFinding {
  switch (kind) {
    case 'damaged':
      return {
        ...finding(
          'error',
          'queue',
          `${database} is damaged: ${text}`,
          'quaver doctor --fix makes a new one with every message that can be read, and keeps the damaged one beside it',
        ),
        mend: () => salvage(home, text),
      }
    case 'stuck':
      return {
        ...finding('error', 'queue', `message ${id} ${text}`, 'quaver doctor --fix: what is left to do is due now'),
        mend: () => schedule(home, id ?? 0),
      }
    case 'bodiless':
      return finding(
        'error',
        'queue',
        `message ${id} ${text}, and cannot be delivered`,
        `quaver queue why ${id} says whose it is; quaver queue delete ${id}, or its file of HOME/queue/content from a backup`,
      )
    case 'busy':
      return finding('note', 'queue', 'a backup is being made: the queue was not looked into', 'quaver doctor, later')
    case 'unknown':
      return finding(
        'error',
        'queue',
        `it could not be looked into: ${text}`,
        'ask as root; see what quaver status says',
      )
  }
}

/** Databases set aside by a repair, with rows that could not be read. */
function leftovers(home: Home): QueueFinding[] {
  const names = readdirSync(home.queue).filter((name) => /^queue\.db\.damaged-\d+$/.test(name))
  return names.map((name) => {
    const path = join(home.queue, name)
    return finding(
      'note',
      'queue',
      `${path} was set aside by a repair: what could be read of it is in the queue, what could not is there alone`,
      `keep it as long as somebody may miss mail, then: rm ${path}*`,
    )
  })
}

/** Salvages by restarting the queue's process; if none runs, in this process. Returns a text to show. */
async function salvage(home: Home, why: string): Promise<string> {
  if (await isRunning(home)) {
    const path = socketPath(home, 'queue-admin')
    // The answer may be cut off, since the process ends.
    await askAll(path, { op: 'distrust' }, realClock).catch(() => undefined)
    for (const until = realClock.monotonic() + salvageMillisecondsMax; ; await sleep(pollMilliseconds)) {
      const [counts] = await askAll(path, { op: 'counts' }, realClock).catch(() => [])
      if (counts !== undefined) return ': the log says how many messages were saved'
      if (realClock.monotonic() > until) throw new CommandError('the queue does not come back: see the log')
    }
  }
  process.umask(0o077)
  let told = ''
  await asOwner(statSync(home.queue), async () => {
    noteDamage(damageMarker(home.queue), why)
    const store = await openQueue(home.queue, realFiles, realClock.now(), {
      salvaged: ({ saved, lost, asideAs }) => {
        told = `: ${saved} messages saved, ${lost} not; what was there is ${asideAs}`
      },
      foreign: () => undefined,
    })
    await store.close()
  })
  return told
}

async function schedule(home: Home, id: number): Promise<undefined> {
  if (await isRunning(home)) {
    await askAll(socketPath(home, 'queue-admin'), { op: 'schedule', id }, realClock)
    return
  }
  const queue = await ClosedQueue.open(home.queue, realClock)
  try {
    await queue.schedule([id])
  } finally {
    await queue.close()
  }
}
