/** What a qmail-remote says on its output, and what a qmail-rspawn makes of it: of each recipient `r` (taken), `h` (refused for
 *  good) or `s` (for now), then of the message `K`, `Z` or `D`, each with its text and a NUL after it. */
import type { ByteString } from '../../base/byte-string.ts'
import { plainFailure, type Status } from '../../base/outcome.ts'
import { crashed, delivered } from './delivery-status.ts'

/** For a message to one recipient. `exitCode` undefined: a signal ended the program. */
export function remoteOutputStatus(output: ByteString, exitCode: number | undefined): Status {
  if (exitCode === undefined) return crashed('remote')
  if (exitCode !== 0) return failure(deferringCodes.has(exitCode) ? 4 : 5, 'Unable to run qmail-remote.\n')
  if (output === '') return failure(4, 'qmail-remote produced no output.\n')
  // What follows the last NUL is no report.
  const reports = output.split('\0').slice(0, -1)
  const message = reports.find((report) => /^[KZD]/.test(report))?.charAt(0)
  const ofMessage = message === 'K' ? 2 : message === 'Z' ? 4 : 5
  const whole = output.startsWith('s') ? 4 : output.startsWith('h') ? 5 : ofMessage
  const [first = '', second = ''] = reports
  // The transaction's end follows the answer to the recipient, unless the end was better.
  const text = first.slice(1) + (ofMessage >= whole && /^[KZD]/.test(second) ? second.slice(1) : '')
  return whole === 2 ? delivered(text) : failure(whole, text)
}

/** What `remoteOutputStatus` reads, for a message to any number of recipients, of which the first were answered. */
export function remoteOutput(recipients: readonly Status[], end: Status): ByteString {
  const letters = { 2: 'r', 4: 's', 5: 'h' } as const
  const said = recipients.map((status) => `${letters[status.class]}${status.class === 2 ? '' : status.peerText}\0`)
  return `${said.join('')}${{ 2: 'K', 4: 'Z', 5: 'D' }[end.class]}${end.peerText}\0`
}

/** 111, and those by which a shell or an interpreter says that it could not run a program, or died in it. qmail-rspawn took
 *  all but 111 for a failure for good. */
const deferringCodes: ReadonlySet<number> = new Set([111, 126, 127, 255])

function failure(statusClass: 4 | 5, text: ByteString): Status {
  return plainFailure(statusClass, '0.0', text, '')
}
