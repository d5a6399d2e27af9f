/** What the exit of a qmail-queue (or of the program that QMAILQUEUE names) means to its caller.
 *  Knows:  the codes and texts of qmail-queue(8) and qmail.c, and custom errors (code 82, text on descriptor 6, or on 4 as
 *          programs for older patches have it: simscan and its kin).
 *  Never:  runs anything. */
import type { ByteString } from '../../base/byte-string.ts'
import { type Failure, permanent, plainFailure, transient } from '../../base/outcome.ts'
import { codeAtEnd } from '../smtp/replies.ts'

/** Where a program may write a custom error; if it writes on more than one, the first here counts. */
export const customErrorFds = [6, 4] as const
/** Of what it writes to each so much is kept; the rest is read and dropped. */
export const customErrorBytesMax = 255
/** A class letter and at least two bytes of text: less is no custom error. */
const customErrorBytesMin = 3
const customErrorCode = 82

export const unableToExec: Failure = transient('3.0', 'unable to exec qq')
export const homeTrouble: Failure = transient('3.0', 'qq trouble in home directory')
export const programTimeout: Failure = transient('3.0', 'qq timeout')
const crashed: Failure = transient('3.0', 'qq crashed')
const readError: Failure = transient('3.0', 'qq read error')
const temporaryProblem: Failure = transient('3.0', 'qq temporary problem')
const permanentProblem: Failure = permanent('3.0', 'qq permanent problem')
const tooLong: Failure = permanent('1.3', 'envelope address too long for qq')
const filesTrouble: Failure = transient('3.0', 'qq trouble creating files in queue')
const internalBug: Failure = transient('3.0', 'qq internal bug')

const meanings: ReadonlyMap<number, Failure> = new Map([
  [11, tooLong],
  [31, permanent('3.0', 'mail server permanently rejected message')],
  [51, transient('3.0', 'qq out of memory')],
  [52, programTimeout],
  [53, transient('3.0', 'qq write error or disk full')],
  [54, readError],
  [55, transient('3.0', 'qq unable to read configuration')],
  [56, transient('3.0', 'qq trouble making network connection')],
  [61, homeTrouble],
  [62, filesTrouble],
  [63, filesTrouble],
  [64, filesTrouble],
  [65, filesTrouble],
  [66, filesTrouble],
  [71, transient('3.0', 'mail server temporarily rejected message')],
  [72, transient('4.1', 'connection to mail server timed out')],
  [73, transient('4.1', 'connection to mail server rejected')],
  [74, transient('4.2', 'communication with mail server failed')],
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
  const failureClass = customError.startsWith('D') ? 5 : 4
  return plainFailure(failureClass, codeAtEnd(failureClass, text) ?? '3.0', text)
}
