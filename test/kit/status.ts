/** Statuses as qmail's reports: K delivered, Z deferred, D failed for good. */
import { plainFailure, type Status } from '../../src/base/outcome.ts'
import { delivered } from '../../src/protocols/qmail/delivery-status.ts'

export interface Report {
  readonly letter: 'K' | 'Z' | 'D'
  readonly text: string
}

const letters = { 2: 'K', 4: 'Z', 5: 'D' } as const

export function reportOf(status: Status): Report {
  return { letter: letters[status.class], text: status.peerText }
}

export function statusOf(report: Report | Status): Status {
  if ('class' in report) return report
  if (report.letter === 'K') return delivered(report.text)
  return plainFailure(report.letter === 'D' ? 5 : 4, '0.0', report.text, '')
}
