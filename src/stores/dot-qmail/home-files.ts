/** Reads what a delivery needs from the user's home: whether mail may go there now, and what `.qmail` says.
 *  Knows:  modes, qmail-local's texts. Never: writes; changes the working directory.
 *  Fails:  with the text and class of qmail-local. */
import { constants } from 'node:fs'
import { type ByteString, fromBuffer, toText } from '../../base/byte-string.ts'
import { describeError, type Failure, transient } from '../../base/outcome.ts'
import { printed } from '../../protocols/qmail/delivery-status.ts'
import type { DotQmailName, DotQmailSearch } from '../../protocols/qmail/dot-qmail.ts'
import { dotQmailBytesMax, dotQmailModeFault, homeModeFault } from '../../protocols/qmail/home-modes.ts'
import { errnoText, isTemporaryErrno } from '../../protocols/qmail/errno-text.ts'
import { errorCode } from '../../system/files.ts'
import type { QuickFiles } from '../../system/quick-files.ts'

export interface DotQmail {
  readonly text: ByteString
  /** The owner may execute the file, or `default` names what follows. */
  readonly forwardOnly: boolean
  readonly default: ByteString | undefined
}

const ownerExecuteBit = 0o100
/** The file exists and cannot be read now, so mail waits. A loop of links is a mistake that the user will notice. */
const untoldCodes: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'ELOOP'])

/** Undefined: the home can take mail. */
export function checkHome(files: QuickFiles, home: ByteString): Failure | undefined {
  const noEntry = (code: string): Failure =>
    defer(`Unable to switch to ${home}: ${errnoText(code)}.`, `home ${toText(home)}: ${code}`)
  let mode: number | undefined
  try {
    files.enter(home)
    mode = files.facts(home)?.mode
  } catch (error) {
    return noEntry(errorCode(error))
  }
  if (mode === undefined) return noEntry('ENOENT')
  const fault = homeModeFault(mode)
  return fault && printed({ ...fault, logText: modeText(home, mode) })
}

/** The first file of the search that exists. Undefined if none does. */
export function readDotQmail(
  files: QuickFiles,
  home: ByteString,
  search: DotQmailSearch,
): DotQmail | Failure | undefined {
  for (const name of search.names) {
    const found = readOne(files, home, name)
    if (found !== undefined) return found
  }
  return undefined
}

function readOne(files: QuickFiles, home: ByteString, candidate: DotQmailName): DotQmail | Failure | undefined {
  const { name } = candidate
  const path = `${home}/${name}`
  let fd: number
  try {
    if (files.facts(path) === undefined) return undefined
    fd = files.open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    const code = errorCode(error)
    if (!untoldCodes.has(code) && !isTemporaryErrno(code)) return undefined
    return defer(`Unable to open ${name}: ${errnoText(code)}.`, naming(path, error))
  }
  try {
    const facts = files.factsOf(fd)
    if (!facts.isFile()) return undefined
    const fault = dotQmailModeFault(facts.mode)
    if (fault !== undefined) return printed({ ...fault, logText: modeText(path, facts.mode) })
    if (facts.size > dotQmailBytesMax)
      return defer(
        `Unable to read ${name}: ${errnoText('EFBIG')}.`,
        `${toText(path)}: ${facts.size} bytes, limit ${dotQmailBytesMax}`,
      )
    const text = readText(files, fd)
    return { text, forwardOnly: (facts.mode & ownerExecuteBit) !== 0, default: candidate.default }
  } catch (error) {
    return defer(`Unable to read ${name}: ${errnoText(errorCode(error))}.`, naming(path, error))
  } finally {
    files.close(fd)
  }
}

function readText(files: QuickFiles, fd: number): ByteString {
  const buffer = Buffer.allocUnsafe(4096)
  let text = ''
  // Bounded, since a file may grow while it is read.
  while (text.length <= dotQmailBytesMax) {
    const count = files.read(fd, buffer, text.length)
    if (count === 0) break
    text += fromBuffer(buffer.subarray(0, count))
  }
  return text
}

/** Which of the owner files exist. */
export function findOwner(
  files: QuickFiles,
  home: ByteString,
  search: DotQmailSearch,
): 'none' | 'owner' | 'owner and default' | Failure {
  const owner = exists(files, home, search.ownerName)
  if (owner !== true) return owner === false ? 'none' : owner
  const both = exists(files, home, search.ownerDefaultName)
  if (both === true) return 'owner and default'
  return both === false ? 'owner' : both
}

function exists(files: QuickFiles, home: ByteString, name: ByteString): boolean | Failure {
  try {
    return files.facts(`${home}/${name}`) !== undefined
  } catch (error) {
    const code = errorCode(error)
    if (!isTemporaryErrno(code)) return false
    return defer(`Unable to stat home directory: ${errnoText(code)}.`, naming(home, error))
  }
}

export function isFailure(value: object | string): value is Failure {
  return typeof value === 'object' && 'class' in value
}

/** The system's errors about a descriptor name no file. */
function naming(path: ByteString, error: unknown): string {
  const [place, text] = [toText(path), describeError(error)]
  return text.includes(place) ? text : `${place}: ${text}`
}

/** For a path that others may write to, or that is sticky. */
function modeText(path: ByteString, mode: number): string {
  const place = toText(path)
  return `${place} has mode ${(mode & 0o7777).toString(8)}: chmod o-w,-t ${place}`
}

function defer(words: ByteString, logText: string): Failure {
  return printed(transient('3.0', words, logText))
}
