/** The oracle of remote reports: how qmail-rspawn makes one K, Z or D of what qmail-remote says: recipient reports (`r` accepted, `h` hard, `s` soft)
 *  and then a message report (`K`, `Z`, `D`), each ended by NUL. */
import type { Report } from './status.ts'

/** `exitCode` undefined: the program crashed. */
export function combineRemoteOutput(output: string, exitCode: number | undefined = 0): Report {
  if (exitCode === undefined) return { letter: 'Z', text: 'qmail-remote crashed.\n' }
  if (exitCode === 111) return { letter: 'Z', text: 'Unable to run qmail-remote.\n' }
  if (exitCode !== 0) return { letter: 'D', text: 'Unable to run qmail-remote.\n' }
  if (output === '') return { letter: 'Z', text: 'qmail-remote produced no output.\n' }
  const reports = output.split('\0')
  // What follows the last NUL is not a report.
  reports.pop()
  const message = reports.find((report) => /^[KZD]/.test(report))
  const messageRank = message?.[0] === 'K' ? 1 : message?.[0] === 'Z' ? 0 : -1
  const rank = output.startsWith('s') ? 0 : output.startsWith('h') ? -1 : messageRank
  let text = (reports[0] ?? '').slice(1)
  const second = reports[1] ?? ''
  if (messageRank <= rank && /^[KZD]/.test(second)) text += second.slice(1)
  return { letter: rank === 1 ? 'K' : rank === 0 ? 'Z' : 'D', text }
}
