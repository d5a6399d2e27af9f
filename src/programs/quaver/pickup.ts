/** `quaver pickup` (run by `start`, as each owner in turn): hands those of the caller's files of HOME/queue/drop to the queue
 *  that are named on standard input, with a NUL between them. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { describeError } from '../../base/outcome.ts'
import { enqueue, enqueueClient } from '../../clients/queue/hand-in.ts'
import { dropDirectory, type Dropped, readDropped, refusedName } from '../../stores/drop/drop.ts'
import { Control } from '../../stores/control/control.ts'
import { handInBytesMax } from '../../stores/control/hand-in-limit.ts'
import { homeAt, socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { forbidTracing } from '../../system/libc.ts'
import { flushLog, type Log, openLog } from '../../system/log.ts'
import type { StoredBytes } from '../../system/spool.ts'

/** Whoever was writing an unfinished file has given up by then; qmail's own limit for leavings in the queue. */
const unfinishedMillisecondsMax = 36 * 3_600_000
const readBytes: number = 64 * 1024
/** No file is begun after it: others wait for their turn. */
const turnMilliseconds = 10_000

export async function pickup(args: readonly string[]): Promise<void> {
  const { home: path } = parseArgs({ args: [...args], options: { home: { type: 'string' } } }).values
  forbidTracing()
  const log = openLog('pickup')
  const home = homeAt(path ?? '.')
  const names = (await text(process.stdin)).split('\0').filter((name) => name !== '' && name === basename(name))
  const bytesMax = handInBytesMax(new Control(home.control, realClock))
  const client = enqueueClient(socketPath(home, 'queue-inject'))
  const until = realClock.monotonic() + turnMilliseconds
  for (const name of names.sort()) {
    if (realClock.monotonic() > until) break
    try {
      await pickUp(join(dropDirectory(home), name), { client, bytesMax, log })
    } catch (error) {
      log(`warning: ${name}: ${describeError(error)}`)
    }
  }
  client.close()
  flushLog()
}

interface Tools {
  readonly client: ReturnType<typeof enqueueClient>
  /** Of the content of one message. */
  readonly bytesMax: number
  readonly log: Log
}

async function pickUp(path: string, { client, bytesMax, log }: Tools): Promise<void> {
  const facts = await realFiles.facts(path)
  if (facts?.kind !== 'file' || facts.uid !== process.getuid?.()) return
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    if (fstatSync(fd).uid !== facts.uid) return
    const dropped = readDropped(fd)
    if (dropped === undefined) {
      if (realClock.now() - facts.modifiedMs < unfinishedMillisecondsMax) return
      await realFiles.remove(path)
      log(`warning: ${path} was never finished and is removed`)
      return
    }
    if (dropped.contentBytes > bytesMax) {
      await setAside(path, log, `${dropped.contentBytes} bytes of content, the limit is ${bytesMax}`)
      return
    }
    const outcome = await enqueue(client, dropped.envelope, contentOf(fd, dropped))
    if (!outcome.done && outcome.failure.class === 5) {
      await setAside(path, log, outcome.failure.logText)
      return
    }
    if (!outcome.done) {
      log(`warning: ${path} stays where it is: ${outcome.failure.logText}`)
      return
    }
    await realFiles.remove(path)
    log(`took ${path} as msg ${outcome.value}`)
  } finally {
    closeSync(fd)
  }
}

async function setAside(path: string, log: Log, reason: string): Promise<void> {
  const aside = join(dirname(path), refusedName(basename(path)))
  await realFiles.rename(path, aside)
  log(`warning: ${path} is refused for good: ${reason}; it lies in ${aside}`)
}

function contentOf(fd: number, { contentAt, contentBytes }: Dropped): StoredBytes {
  const read = (from: number, count: number): Buffer => {
    const buffer = Buffer.alloc(count)
    let filled = 0
    while (filled < count) {
      const bytes = readSync(fd, buffer, filled, count - filled, contentAt + from + filled)
      if (bytes === 0) throw new Error('the file became shorter')
      filled += bytes
    }
    return buffer
  }
  return {
    bytes: contentBytes,
    *chunks() {
      for (let at = 0; at < contentBytes; at += readBytes) yield read(at, Math.min(readBytes, contentBytes - at))
    },
  }
}
