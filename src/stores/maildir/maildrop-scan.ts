/** Which messages a Maildir has now, in the order in which they came.
 *  Knows:  names, and which facts to take from the file system where a name lacks them. Never: opens a message; changes
 *          anything but old files under tmp/.
 *  Fails:  throws as Node does; files that go away meanwhile are passed over. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Stats } from 'node:fs'
import { arrivalInName, bytesInName, twinPart, uniquePart } from '../../protocols/maildir/name.ts'
import type { Clock } from '../../system/clock.ts'
import type { QuickFiles } from '../../system/quick-files.ts'
import { sortInTurns, Turns } from './turns.ts'

/** maildir(5): every writer under tmp/ is done by then. */
const unfinishedSecondsMax = 36 * 3600

export class TooManyMessagesError extends Error {
  override name = 'TooManyMessagesError'
}

/** Parallel lists, in order: an object for each message would take more memory. */
export interface ScannedMessages {
  readonly names: ByteString[]
  /** As stored; NaN: the name does not say it, and the file has not been looked at. */
  readonly bytes: Float64Array
  /** 1: under new/; 0: under cur/. */
  readonly inNew: Uint8Array
  /** Identities (`identityOf`) of files whose name may not be unique, by their place in the list. */
  readonly identities: ReadonlyMap<number, string>
  /** New unique parts for messages whose own another message has, too. */
  readonly twins: ReadonlyMap<number, ByteString>
  /** Paths under new/ of files that are also under cur/: a move between the two was interrupted. */
  readonly leftovers: readonly ByteString[]
}

/** Tells a file from another that has, or had, the same name. */
export function identityOf({ ino, mtimeMs }: Stats): string {
  return `${ino.toString(16)}T${Math.max(0, Math.floor(mtimeMs))}`
}

interface Gathered {
  readonly names: ByteString[]
  readonly bytes: number[]
  readonly inNew: number[]
  readonly seconds: number[]
  readonly microseconds: number[]
  /** Of files whose time is not in their name. */
  readonly identities: Map<number, string>
}

/** Messages of the present second are not shown yet: more may come that sort before them. Names that begin with a dot are no
 *  messages. Two files with the same unique part are two messages. `maildir` ends in a slash. */
export async function scanMaildir(
  files: QuickFiles,
  clock: Clock,
  maildir: ByteString,
  messagesMax: number,
): Promise<ScannedMessages> {
  const turns = new Turns(clock)
  const found: Gathered = { names: [], bytes: [], inNew: [], seconds: [], microseconds: [], identities: new Map() }
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
  return await inOrder(files, maildir, found, turns)
}

/** If the name's time is in the future, the file's own time counts, whatever it is: some clock was wrong, unknown which. */
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
    if (seconds === now) return
    found.identities.set(found.names.length, identityOf(facts))
  }
  found.names.push(name)
  found.bytes.push(bytes ?? Number.NaN)
  found.inNew.push(inNew)
  found.seconds.push(seconds)
  found.microseconds.push(arrival?.microseconds ?? 0)
}

async function inOrder(
  files: QuickFiles,
  maildir: ByteString,
  found: Gathered,
  turns: Turns,
): Promise<ScannedMessages> {
  const { names, seconds, microseconds } = found
  const compare = (a: number, b: number): number => {
    const earlier = (seconds[a] ?? 0) - (seconds[b] ?? 0) || (microseconds[a] ?? 0) - (microseconds[b] ?? 0)
    // Names of the same moment differ and do not change, so this order is stable.
    return earlier || compareNames(names[a] ?? '', names[b] ?? '')
  }
  const unordered = new Uint32Array(names.length)
  for (let at = 0; at < unordered.length; at++) unordered[at] = at
  const order = await sortInTurns(unordered, compare, turns)
  const listing = new Listing(files, maildir, found)
  for (const index of order) {
    listing.add(index)
    if (turns.isOver) await turns.next()
  }
  return listing
}

/** Names with the same unique part stand beside one another. */
function compareNames(a: ByteString, b: ByteString): number {
  const [uniqueA, uniqueB] = [uniquePart(a), uniquePart(b)]
  if (uniqueA !== uniqueB) return uniqueA < uniqueB ? -1 : 1
  return a < b ? -1 : 1
}

/** Messages in order, each listed once. */
class Listing implements ScannedMessages {
  readonly names: ByteString[] = []
  readonly bytes: Float64Array
  readonly inNew: Uint8Array
  readonly identities = new Map<number, string>()
  readonly twins = new Map<number, ByteString>()
  readonly leftovers: ByteString[] = []
  private readonly files: QuickFiles
  private readonly maildir: ByteString
  private readonly found: Gathered
  /** Places by unique part, of names without a time, since two of the same part may stand far apart. */
  private readonly places = new Map<ByteString, number>()

  constructor(files: QuickFiles, maildir: ByteString, found: Gathered) {
    this.files = files
    this.maildir = maildir
    this.found = found
    this.bytes = new Float64Array(found.names.length)
    this.inNew = new Uint8Array(found.names.length)
  }

  add(index: number): void {
    const unique = uniquePart(this.found.names[index] ?? '')
    const identity = this.found.identities.get(index)
    const last = this.names.length - 1
    const isLikeLast = last >= 0 && uniquePart(this.names[last] ?? '') === unique
    const other = identity === undefined ? (isLikeLast ? last : undefined) : this.places.get(unique)
    const place = other === undefined ? this.put(this.names.length, index) : this.addLike(other, index)
    if (identity !== undefined) this.places.set(unique, place)
  }

  /** Returns the place of the message that keeps the unique part. */
  private addLike(other: number, index: number): number {
    const path = this.pathOf(this.found.names[index] ?? '', this.found.inNew[index])
    const otherPath = this.pathOf(this.names[other] ?? '', this.inNew[other])
    const [facts, otherFacts] = [this.files.factsOfEntry(path), this.files.factsOfEntry(otherPath)]
    // One file, which moved from new/ to cur/ during the scan and was seen in both.
    if (facts === undefined) return other
    if (otherFacts === undefined) return this.put(other, index)
    if (facts.ino === otherFacts.ino && facts.dev === otherFacts.dev) {
      if (this.found.inNew[index] === 1) this.leftovers.push(path)
      else if (this.inNew[other] === 1) {
        this.leftovers.push(otherPath)
        return this.put(other, index)
      }
      return other
    }
    const place = this.put(this.names.length, index)
    this.identities.set(place, identityOf(facts)).set(other, identityOf(otherFacts))
    // The message under cur/ was shown before, so a client may know its unique-id.
    const [twin, twinFacts] = this.inNew[other] === 1 && this.inNew[place] === 0 ? [other, otherFacts] : [place, facts]
    this.twins.set(twin, twinPart(this.names[twin] ?? '', identityOf(twinFacts)))
    return twin === place ? other : place
  }

  private put(place: number, index: number): number {
    this.names[place] = this.found.names[index] ?? ''
    this.bytes[place] = this.found.bytes[index] ?? 0
    this.inNew[place] = this.found.inNew[index] ?? 0
    const identity = this.found.identities.get(index)
    if (identity !== undefined) this.identities.set(place, identity)
    return place
  }

  private pathOf(name: ByteString, inNew: number | undefined): ByteString {
    return `${this.maildir}${inNew === 1 ? 'new' : 'cur'}/${name}`
  }
}

/** Removes files that dead writers left under tmp/. Files that cannot be examined or removed stay. */
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
