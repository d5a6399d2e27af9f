/** Sees to the messages in HOME/queue/drop. For each owner of files there a `quaver pickup` is run as that owner: it hands
 *  them to the queue over the socket for everybody, so the kernel says whose they are, and no root ever reads them.
 *  Knows:  names and owners of the files. Never: opens one.
 *  Fails:  what could not be handed in stays, and is looked at again at the next round. */
import { type ChildProcess, spawn } from 'node:child_process'
import { lstat, readdir } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { setInterval } from 'node:timers'
import { describeError } from '../../base/outcome.ts'
import { dropDirectory } from '../../stores/drop/drop.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { openLogPipe, pipedForm } from '../../system/log-pipe.ts'
import { nodeFlags } from '../../system/node-flags.ts'
import type { Screen } from './screen.ts'

const roundMilliseconds = 60_000
/** Files looked at in one round; more wait for the next. */
const filesMax = 10_000
const pickupMillisecondsMax = 600_000
const pickupLogLimits = { bytesPerSecond: 64 * 1024 } as const

const commandFile = join(import.meta.dirname, `../quaver/main${extname(import.meta.filename)}`)

interface DropOwner {
  readonly uid: number
  readonly gid: number
}

/** Looks now and once a minute; the returned function ends that. */
export function watchDrops(home: Home, screen: Screen): () => void {
  let running: ChildProcess | undefined
  let stopped = false
  let looking = false
  const round = async (): Promise<void> => {
    if (looking) return
    looking = true
    try {
      for (const owner of await ownersOf(dropDirectory(home))) {
        if (stopped) return
        await new Promise<void>((resolve) => {
          running = runPickup(home, owner, screen)
          running.once('error', (error) => screen.trouble(`pickup for uid ${owner.uid}: ${describeError(error)}`))
          running.once('close', () => resolve())
        })
      }
    } catch (error) {
      screen.trouble(`${dropDirectory(home)}: ${describeError(error)}`)
    } finally {
      looking = false
    }
  }
  const timer = setInterval(() => void round(), roundMilliseconds)
  timer.unref()
  void round()
  return () => {
    stopped = true
    clearInterval(timer)
    running?.kill()
  }
}

/** Owners whose files this process can have read: all if it is root, else its own. */
async function ownersOf(directory: string): Promise<DropOwner[]> {
  const me = process.getuid?.() ?? 0
  const owners = new Map<number, DropOwner>()
  for (const name of (await readdir(directory)).slice(0, filesMax)) {
    const facts = await lstat(join(directory, name)).catch(() => undefined)
    if (facts?.isFile() !== true || (me !== 0 && facts.uid !== me)) continue
    owners.set(facts.uid, { uid: facts.uid, gid: facts.gid })
  }
  return [...owners.values()]
}

/** It runs as the files' owner: its log is a pipe of its own, as a `local`'s is. */
function runPickup(home: Home, { uid, gid }: DropOwner, screen: Screen): ChildProcess {
  const pipe = openLogPipe((line) => screen.note(`pickup ${uid}: ${line}`), realClock, pickupLogLimits)
  const stdio = pipe === undefined ? 'ignore' : pipe.writeFd
  const child = spawn(process.execPath, [...nodeFlags, commandFile, 'pickup', '--home', home.path], {
    ...(uid === process.getuid?.() ? {} : { uid, gid }),
    cwd: '/',
    env: { QUAVER_LOG: pipedForm },
    stdio: ['ignore', stdio, stdio],
    timeout: pickupMillisecondsMax,
    killSignal: 'SIGKILL',
  })
  child.once('close', () => pipe?.close())
  return child
}
