/** Statuses of deliveries in qmail's words, which the queue logs and bounces: those of qmail-lspawn, and what it makes of
 *  what a qmail-local says. */
import type { ByteString } from '../../base/byte-string.ts'
import { type Failure, permanent, plainFailure, type Status, type StatusCode, transient } from '../../base/outcome.ts'

export function delivered(peerText: ByteString): Status {
  return { class: 2, subject: 0, detail: 0, peerText, logText: '', answer: undefined }
}

/** A failure of ours as a program of qmail prints it: a line. */
export function printed(failure: Failure): Failure {
  const { peerText, logText } = failure
  return { ...failure, peerText: `${peerText}\n`, logText: logText === peerText ? '' : logText }
}

/** A status with the output that came before it. */
export function after(output: ByteString, status: Failure): Failure {
  return output === '' ? status : { ...status, peerText: output + status.peerText }
}

const outputBytesMax = 3000
const outputBytesKept = 2966
const tooLongText = '\nError report too long, sorry.\n'

/** More of a delivery's output than this is never looked at. */
export const outputBytesOfInterest: number = outputBytesMax + 1

/** What qmail-lspawn tells of what a qmail-local printed. */
export function toldByLspawn(status: Status): Status {
  const output = status.peerText
  const cut = output.length > outputBytesMax ? output.slice(0, outputBytesKept) + tooLongText : output
  const end = cut.indexOf('\0')
  const peerText = end < 0 ? cut : cut.slice(0, end)
  return peerText === output ? status : { ...status, peerText }
}

function deferral(code: StatusCode, peerText: ByteString): Failure {
  return plainFailure(4, code, peerText, '')
}

/** qmail-lspawn's own, for recipients that never reach a qmail-local. */
export const lspawnStatuses = {
  trash: delivered(''),
  noHost: printed(permanent('1.3', 'Sorry, address must include host name.')),
  usersTrouble: deferral('3.0', 'Trouble reading users/cdb in qmail-lspawn.\n'),
  accountsTrouble: deferral('3.0', 'Temporary failure in qmail-lspawn.\n'),
  homeTrouble: deferral('3.0', 'NFS failure in qmail-local.\n'),
  noAlias: deferral('3.5', 'Unable to find alias user!\n'),
  root: deferral('3.5', 'Not allowed to perform deliveries as root.\n'),
  bug: deferral('3.0', 'Internal qmail-lspawn bug.\n'),
  noProcess: deferral('3.0', 'Unable to run qmail-local.\n'),
  noContent: printed(transient('3.0', 'qmail-spawn unable to open message.')),
} as const satisfies Record<string, Status>

/** The process that delivered is gone, and how far it came is unknown. */
export function crashed(channel: 'local' | 'remote'): Failure {
  return deferral('3.0', `qmail-${channel} crashed.\n`)
}
