/** What the `.qmail` files of a user say about one assignment.
 *  Fails:  a failure with the text and class of qmail-local. */
import { type Failure, permanent, type Status } from '../../base/outcome.ts'
import type { Assignment } from '../../contracts/assign.ts'
import { describe, type DotQmailSearch, parseDotQmail, searchDotQmail } from '../../protocols/qmail/dot-qmail.ts'
import { printed } from '../../protocols/qmail/delivery-status.ts'
import { writtenLines } from '../../protocols/qmail/written-text.ts'
import type { QuickFiles } from '../../system/quick-files.ts'
import { type DotQmail, isFailure, readDotQmail } from './home-files.ts'

const noMailbox = printed(permanent('1.1', 'Sorry, no mailbox here by that name.'))

/** `qmail-local -n`: what would be done. */
export function describeDelivery(files: QuickFiles, assignment: Assignment): Status {
  const found = findInstructions(files, assignment, searchDotQmail(assignment.dash, assignment.ext))
  if (isFailure(found)) return found
  return describe(parseDotQmail(found.text, found.forwardOnly))
}

/** What a delivery does; `assignment.defaultDelivery` where `.qmail` says nothing. */
export function findInstructions(
  files: QuickFiles,
  assignment: Assignment,
  search: DotQmailSearch,
): DotQmail | Failure {
  const found = readDotQmail(files, assignment.home, search)
  if (found === undefined && search.absent === 'no mailbox') return noMailbox
  if (found !== undefined && (isFailure(found) || writtenLines(found.text).length > 0)) return found
  return { text: assignment.defaultDelivery, forwardOnly: false, default: found?.default }
}
