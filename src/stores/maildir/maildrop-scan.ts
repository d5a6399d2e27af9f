/** Which messages a Maildir has now, in the order in which they came.
 *  Knows:  names, and what to ask the file system where a name does not say it. Never: opens a message; changes anything
 *          but old files under tmp/.
 *  Fails:  throws as Node does; files that go away meanwhile are passed over. */
import type { ByteString } from '../../base/byte-string.ts'
import { arrivalInName, bytesInName, uniquePart } from '../../protocols/maildir/name.ts'
import type { Clock } from '../../system/clock.ts'
import type { QuickFiles } from '../../system/quick-files.ts'
import { sortInTurns, Turns } from './turns.ts'

/** maildir(5): whoever writes under tmp/ is done by then. */
const unfinishedSecondsMax = 36 * 3600

export class TooManyMessagesError extends Error {
  override name = 'TooManyMessagesError'
}

/** Parallel lists, in order: an object a message would cost more than all of it. */
export interface ScannedMessages {
  readonly names: ByteString[]
  /** As stored; NaN: neither the name says it, nor did the file have to be asked. */
  readonly bytes: Float64Array
  /** 1: under new/; 0: under cur/. */
  readonly inNew: Uint8Array
}

interface Gathered {
  readonly names: ByteString[]
  readonly bytes: number[]
  readonly inNew: number[]
  readonly seconds: number[]
  readonly microseconds: number[]
}

/** What came in this second is not shown yet: more may come, and go before it in the order. Names that begin with a dot
 *  are no messages. `maildir` ends in a slash. */
export async function scanMaildir(
  files: QuickFiles,
  clock: Clock,
  maildir: ByteString,
  messagesMax: number,
): Promise<ScannedMessages> {
  const turns = new Turns(clock)
  const found: Gathered = { names: [], bytes: [], inNew: [], seconds: [], microseconds: [] }
  const now = Math.floor(clock.now() / 1000)
  for (const [part, inNew] of [
    ['new', 1],
    ['cur', 0],
  ] as const) {
    const directory = `${maildir}${part}/`
    for (const names of files.listFiles(directory)) {
      for (const name of names) {
        if (!name.startsWith('.')) gather(files, directory, name, inNew, now, found)
        if (turns.isOver) await turns.next()
      }
      if (found.names.length > messagesMax) throw new TooManyMessagesError(`more than ${messagesMax} messages`)
    }
  }
  return await inOrder(found, turns)
}

/** A time in the future says nothing: then the file's own counts. */
function gather(
  files: QuickFiles,
  directory: ByteString,
  name: ByteString,
  inNew: number,
  now: number,
  found: Gathered,
): void {
  const arrival = arrivalInName(name)
  let bytes = bytesInName(name)
  let seconds = arrival?.seconds ?? now
  if (seconds >= now) {
    const facts = files.factsOfEntry(directory + name)
    if (facts === undefined || !facts.isFile()) return
    bytes ??= facts.size
    seconds = Math.floor(facts.mtimeMs / 1000)
    if (seconds >= now) return
  }
  found.names.push(name)
  found.bytes.push(bytes ?? Number.NaN)
  found.inNew.push(inNew)
  found.seconds.push(seconds)
  found.microseconds.push(arrival?.microseconds ?? 0)
}

async function inOrder(found: Gathered, turns: Turns): Promise<ScannedMessages> {
  const { names, bytes, inNew, seconds, microseconds } = found
  const compare = (a: number, b: number): number => {
    const earlier = (seconds[a] ?? 0) - (seconds[b] ?? 0) || (microseconds[a] ?? 0) - (microseconds[b] ?? 0)
    // Names of the same moment differ, and stay: so does the order.
    return earlier || ((names[a] ?? '') < (names[b] ?? '') ? -1 : 1)
  }
  const unordered = new Uint32Array(names.length)
  for (let at = 0; at < unordered.length; at++) unordered[at] = at
  const order = await sortInTurns(unordered, compare, turns)
  const ordered = {
    names: [] as ByteString[],
    bytes: new Float64Array(order.length),
    inNew: new Uint8Array(order.length),
  }
  let last = -1
  for (const index of order) {
    const name = names[index] ?? ''
    const sameMoment = seconds[index] === seconds[last] && microseconds[index] === microseconds[last]
    // It moved from new/ to cur/ while we looked, and was seen in both.
    if (sameMoment && uniquePart(name) === uniquePart(names[last] ?? '')) ordered.names.pop()
    last = index
    const at = ordered.names.push(name) - 1
    ordered.bytes[at] = bytes[index] ?? 0
    ordered.inNew[at] = inNew[index] ?? 0
    if (turns.isOver) await turns.next()
  }
  return ordered
}

/** Removes what was left under tmp/ by writers that died. What cannot be looked at or removed stays. */
export async function cleanTemporary(files: QuickFiles, clock: Clock, maildir: ByteString): Promise<void> {
  const turns = new Turns(clock)
  const oldest = clock.now() - unfinishedSecondsMax * 1000
  const directory = `${maildir}tmp/`
  try {
    for (const names of files.listFiles(directory)) {
      for (const name of names) {
        if (name.startsWith('.')) continue
        if (turns.isOver) await turns.next()
        const facts = files.factsOfEntry(directory + name)
        if (facts !== undefined && facts.atimeMs < oldest) files.remove(directory + name)
      }
    }
  } catch {
    // The next session tries again; mail does not depend on it.
  }
}
