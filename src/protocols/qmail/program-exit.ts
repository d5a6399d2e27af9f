/** What exit codes mean on the way of a delivery: of a program in `.qmail` for qmail-local, and of qmail-local for
 *  qmail-lspawn, whose reports the queue logs and bounces (qmail-command(8)). */
import type { ByteString } from '../../base/byte-string.ts'

/** `stop`: delivered, and the lines that follow are not looked at. */
export type ProgramVerdict = 'next' | 'stop' | 'defer' | 'fail'

/** 64, 65, 70, 76, 77, 78 are sysexits that do not pass by themselves. */
const permanentExits: ReadonlySet<number> = new Set([100, 64, 65, 70, 76, 77, 78, 112])

export function programVerdict(exitCode: number): ProgramVerdict {
  if (exitCode === 0) return 'next'
  if (exitCode === 99) return 'stop'
  return permanentExits.has(exitCode) ? 'fail' : 'defer'
}

export const programCrashedText = 'Aack, child crashed. (#4.3.0)\n'

export interface LocalResult {
  /** As qmail-local exits: 0 delivered, 100 failed, 111 deferred. */
  readonly exitCode: 0 | 100 | 111
  /** What it and its programs said. */
  readonly output: ByteString
  /** What went wrong on this machine, for its administrator alone. */
  readonly detail?: ByteString
}

/** Matches contracts/deliver.ts. */
export interface LocalReport {
  readonly letter: 'K' | 'Z' | 'D'
  readonly text: ByteString
  readonly detail?: ByteString
}

const outputBytesMax = 3000
const outputBytesKept = 2966
const tooLongText = '\nError report too long, sorry.\n'

/** More of a delivery's output than this is never looked at. */
export const outputBytesOfInterest: number = outputBytesMax + 1

export function reportOf(result: LocalResult): LocalReport {
  const { exitCode, output } = result
  const cut = output.length > outputBytesMax ? output.slice(0, outputBytesKept) + tooLongText : output
  const end = cut.indexOf('\0')
  const letter = exitCode === 0 ? 'K' : exitCode === 111 ? 'Z' : 'D'
  const detail = letter === 'Z' && result.detail !== undefined ? { detail: result.detail } : {}
  return { letter, text: end < 0 ? cut : cut.slice(0, end), ...detail }
}

/** qmail-lspawn's own reports, for recipients that never reach a qmail-local. */
export const lspawnReports = {
  trash: { letter: 'K', text: '' },
  noHost: { letter: 'D', text: 'Sorry, address must include host name. (#5.1.3)\n' },
  usersTrouble: { letter: 'Z', text: 'Trouble reading users/cdb in qmail-lspawn.\n' },
  accountsTrouble: { letter: 'Z', text: 'Temporary failure in qmail-lspawn.\n' },
  homeTrouble: { letter: 'Z', text: 'NFS failure in qmail-local.\n' },
  noAlias: { letter: 'Z', text: 'Unable to find alias user!\n' },
  root: { letter: 'Z', text: 'Not allowed to perform deliveries as root.\n' },
  bug: { letter: 'Z', text: 'Internal qmail-lspawn bug.\n' },
  noProcess: { letter: 'Z', text: 'Unable to run qmail-local.\n' },
  crashed: { letter: 'Z', text: 'qmail-local crashed.\n' },
} as const satisfies Record<string, LocalReport>
