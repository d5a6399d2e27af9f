/** Picks up the messages in HOME/queue/drop. For each owner of files there it runs `quaver pickup` as that owner, which hands
 *  them to the queue over the public socket: so the kernel proves the owner, and root never reads them. Each owner has turns of
 *  its own, bounded in time and number of files, several at once: an owner that fills the directory delays only its own mail.
 *  Knows:  names and owners of the files. Never: opens one; shares a descriptor with a user's process.
 *  Fails:  files that could not be handed in stay, and are tried again in the next round. */
import { type ChildProcess, spawn } from 'node:child_process'
import { lstat, opendir } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { setInterval } from 'node:timers'
import { describeError } from '../../base/outcome.ts'
import { dropDirectory, isRefusedName } from '../../stores/drop/drop.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { openLogPipe, pipedForm } from '../../system/log-pipe.ts'
import { nodeFlags } from '../../system/node-flags.ts'
import type { Screen } from './screen.ts'

const roundMilliseconds = 60_000
/** Files of one owner in one turn. If there are more, each turn picks a random selection. */
export const filesPerTurnMax = 1000
const turnsAtOnce = 8
const looksAtOnce = 100
/** The interval while an owner has more files than one turn takes. */
const nextRoundMilliseconds = 5_000
/** A turn ends by itself long before this, unless its owner stopped the process. */
const turnMillisecondsMax = 60_000
const pickupLogLimits = { bytesPerSecond: 64 * 1024 } as const

const commandFile = join(import.meta.dirname, `../quaver/main${extname(import.meta.filename)}`)

export interface DropOwner {
  readonly uid: number
  readonly gid: number
  /** At most `filesPerTurnMax` names. */
  readonly names: string[]
  count: number
}

/** Looks now and once a minute, or sooner while an owner has more than a turn holds; the returned function ends that. */
export function watchDrops(home: Home, screen: Pick<Screen, 'note' | 'trouble'>): () => void {
  const running = new Map<number, ChildProcess | undefined>()
  const waiting: DropOwner[] = []
  let stopped = false
  let looking = false
  let lookAgain = false
  let soon: NodeJS.Timeout | undefined
  /** Owners of too many files, reported once until they have fewer. */
  const told = new Set<number>()

  const next = (): void => {
    while (!stopped && running.size < turnsAtOnce) {
      const owner = waiting.shift()
      if (owner === undefined) break
      running.set(owner.uid, undefined)
      void turn(owner)
    }
    if (stopped || !lookAgain || waiting.length > 0) return
    lookAgain = false
    clearTimeout(soon)
    soon = setTimeout(() => void round(), nextRoundMilliseconds).unref()
  }
  const turn = async (owner: DropOwner): Promise<void> => {
    try {
      await runPickup(home, owner, screen, (child) => running.set(owner.uid, child))
    } catch (error) {
      screen.trouble(`pickup for uid ${owner.uid}: ${describeError(error)}`)
    }
    running.delete(owner.uid)
    next()
  }
  const round = async (): Promise<void> => {
    if (looking) return
    looking = true
    try {
      for (const owner of await ownersOf(dropDirectory(home))) {
        if (running.has(owner.uid) || waiting.some(({ uid }) => uid === owner.uid)) continue
        const hasMore = owner.count > owner.names.length
        if (!hasMore) told.delete(owner.uid)
        if (hasMore) lookAgain = true
        if (hasMore && !told.has(owner.uid)) {
          told.add(owner.uid)
          screen.trouble(
            `queue/drop: uid ${owner.uid} has ${owner.count} files, of which ${filesPerTurnMax} have a turn`,
          )
        }
        waiting.push(owner)
      }
    } catch (error) {
      screen.trouble(`${dropDirectory(home)}: ${describeError(error)}`)
    }
    looking = false
    next()
  }
  const timer = setInterval(() => void round(), roundMilliseconds)
  timer.unref()
  void round()
  return () => {
    stopped = true
    clearInterval(timer)
    clearTimeout(soon)
    for (const child of running.values()) child?.kill('SIGKILL')
  }
}

/** Owners whose files this process can have read: all if it is root, else only itself. */
export async function ownersOf(directory: string): Promise<DropOwner[]> {
  const me = process.getuid?.() ?? 0
  const owners = new Map<number, DropOwner>()
  const look = async (name: string): Promise<void> => {
    const facts = await lstat(join(directory, name)).catch(() => undefined)
    if (facts?.isFile() !== true || (me !== 0 && facts.uid !== me)) return
    let owner = owners.get(facts.uid)
    if (owner === undefined) {
      owner = { uid: facts.uid, gid: facts.gid, names: [], count: 0 }
      owners.set(facts.uid, owner)
    }
    choose(owner, name)
  }
  let looks: Promise<void>[] = []
  for await (const { name } of await opendir(directory)) {
    if (!isRefusedName(name)) looks.push(look(name))
    if (looks.length < looksAtOnce) continue
    await Promise.all(looks)
    looks = []
  }
  await Promise.all(looks)
  return [...owners.values()]
}

/** Every file has the same chance to be among the names: none waits for ever behind others that stay. */
function choose(owner: DropOwner, name: string): void {
  owner.count++
  if (owner.names.length < filesPerTurnMax) {
    owner.names.push(name)
    return
  }
  const place = Math.floor(Math.random() * owner.count)
  if (place < filesPerTurnMax) owner.names[place] = name
}

/** It runs as the files' owner, so its log is a pipe of its own, as a `local`'s is. */
async function runPickup(
  home: Home,
  { uid, gid, names }: DropOwner,
  screen: Pick<Screen, 'note' | 'trouble'>,
  onStart: (child: ChildProcess) => void,
): Promise<void> {
  const pipe = openLogPipe((line) => screen.note(`pickup ${uid}: ${line}`), realClock, pickupLogLimits)
  const log = pipe?.writeFd ?? 'ignore'
  const child = spawn(process.execPath, [...nodeFlags, commandFile, 'pickup', '--home', home.path], {
    ...(uid === process.getuid?.() ? {} : { uid, gid }),
    cwd: '/',
    env: { QUAVER_LOG: pipedForm },
    stdio: ['pipe', log, log],
    timeout: turnMillisecondsMax,
    killSignal: 'SIGKILL',
  })
  onStart(child)
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(names.join('\0'))
  try {
    const signal = await new Promise<string | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (_code, by) => resolve(by))
    })
    if (signal !== null) screen.trouble(`pickup for uid ${uid} was ended by ${signal}`)
  } finally {
    pipe?.close()
  }
}
