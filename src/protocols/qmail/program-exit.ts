/** What the exit code of a program in `.qmail` means to qmail-local (qmail-command(8)). */

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
