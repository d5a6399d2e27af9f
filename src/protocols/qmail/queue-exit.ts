/** What the exit of a qmail-queue (or of the program that QMAILQUEUE names) means to whoever ran it.
 *  Knows:  the codes and texts of qmail-queue(8) and qmail.c, and custom errors (code 82, text on descriptor 6, or on 4 as programs
 *          for older patches have it: simscan and its kin).
 *  Never:  runs anything. */
import type { ByteString } from '../../base/byte-string.ts'
import { type Failure, permanent, transient } from '../../base/outcome.ts'

/** Where a program may write a custom error; if it writes on more than one, the first here counts. */
export const customErrorFds = [6, 4] as const
/** Of what it writes to each so much is kept; the rest is read and dropped. */
export const customErrorBytesMax = 255
/** A class letter and at least two bytes of text: less is no custom error. */
const customErrorBytesMin = 3
const customErrorCode = 82

export const unableToExec: Failure = transient('unable to exec qq (#4.3.0)')
export const homeTrouble: Failure = transient('qq trouble in home directory (#4.3.0)')
export const programTimeout: Failure = transient('qq timeout (#4.3.0)')
const crashed: Failure = transient('qq crashed (#4.3.0)')
const readError: Failure = transient('qq read error (#4.3.0)')
const temporaryProblem: Failure = transient('qq temporary problem (#4.3.0)')
const permanentProblem: Failure = permanent('qq permanent problem (#5.3.0)')
const tooLong: Failure = permanent('envelope address too long for qq (#5.1.3)')
const filesTrouble: Failure = transient('qq trouble creating files in queue (#4.3.0)')
const internalBug: Failure = transient('qq internal bug (#4.3.0)')

const meanings: ReadonlyMap<number, Failure> = new Map([
  [11, tooLong],
  [31, permanent('mail server permanently rejected message (#5.3.0)')],
  [51, transient('qq out of memory (#4.3.0)')],
  [52, programTimeout],
  [53, transient('qq write error or disk full (#4.3.0)')],
  [54, readError],
  [55, transient('qq unable to read configuration (#4.3.0)')],
  [56, transient('qq trouble making network connection (#4.3.0)')],
  [61, homeTrouble],
  [62, filesTrouble],
  [63, filesTrouble],
  [64, filesTrouble],
  [65, filesTrouble],
  [66, filesTrouble],
  [71, transient('mail server temporarily rejected message (#4.3.0)')],
  [72, transient('connection to mail server timed out (#4.4.1)')],
  [73, transient('connection to mail server rejected (#4.4.1)')],
  [74, transient('communication with mail server failed (#4.4.2)')],
  [81, internalBug],
  [91, internalBug],
  [115, tooLong],
  [120, unableToExec],
])

export interface QueueExit {
  /** Undefined if a signal ended the program. */
  readonly code: number | undefined
  /** At most `customErrorBytesMax` bytes, from one descriptor. */
  readonly customError: ByteString
  /** The caller could not write the whole message and envelope. */
  readonly writeFailed: boolean
}

/** Undefined means queued. */
export function queueExitFailure(exit: QueueExit): Failure | undefined {
  const { code, customError } = exit
  if (code === undefined) return crashed
  if (code === 0) return exit.writeFailed ? readError : undefined
  if (code === customErrorCode && customError.length >= customErrorBytesMin) return customFailure(customError)
  return meanings.get(code) ?? (code >= 11 && code <= 40 ? permanentProblem : temporaryProblem)
}

/** The text is for the peer as it is, but a reply is one line of ASCII: what would break that becomes `?`. */
function customFailure(customError: ByteString): Failure {
  const text = customError.slice(1).replace(/[^ -~]/g, '?')
  return customError.startsWith('D') ? permanent(text) : transient(text)
}
