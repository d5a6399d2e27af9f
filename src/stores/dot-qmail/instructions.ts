/** What the `.qmail` files of a user say about one assignment.
 *  Fails:  a `Stop` with the text and class of qmail-local. */
import type { Assignment } from '../../contracts/assign.ts'
import { describe, type DotQmailSearch, parseDotQmail, searchDotQmail } from '../../protocols/qmail/dot-qmail.ts'
import type { LocalResult } from '../../protocols/qmail/program-exit.ts'
import { writtenLines } from '../../protocols/qmail/written-text.ts'
import type { QuickFiles } from '../../system/quick-files.ts'
import { type DotQmail, isStop, readDotQmail, type Stop } from './home-files.ts'

const noMailboxText = 'Sorry, no mailbox here by that name. (#5.1.1)\n'

/** `qmail-local -n`: what would be done. */
export function describeDelivery(files: QuickFiles, assignment: Assignment): LocalResult {
  const found = findInstructions(files, assignment, searchDotQmail(assignment.dash, assignment.ext))
  if (isStop(found)) return { exitCode: found.exitCode, output: found.text }
  return describe(parseDotQmail(found.text, found.forwardOnly))
}

/** What a delivery does; `assignment.defaultDelivery` where `.qmail` says nothing. */
export function findInstructions(files: QuickFiles, assignment: Assignment, search: DotQmailSearch): DotQmail | Stop {
  const found = readDotQmail(files, assignment.home, search)
  if (found === undefined && search.absent === 'no mailbox') return { exitCode: 100, text: noMailboxText }
  if (found !== undefined && (isStop(found) || writtenLines(found.text).length > 0)) return found
  return { text: assignment.defaultDelivery, forwardOnly: false, default: found?.default }
}
