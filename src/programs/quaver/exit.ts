/** Exit codes, and the errors that carry one to main.ts. */
import { systemRefusal } from '../../contracts/troubles.ts'

export const exitCode = { ok: 0, failed: 1, usage: 2, permanent: 100, temporary: 111 } as const

/** Ends the command with a text on standard error. */
export class CommandError extends Error {
  override name = 'CommandError'
  readonly code: number

  constructor(text: string, code: number = exitCode.failed) {
    super(text)
    this.code = code
  }
}

/** A refusal of the system (a full disk, a file in a directory's place) in one line; undefined for anything else, which is a
 *  bug. */
export function systemTrouble(error: unknown): CommandError | undefined {
  const text = systemRefusal(error)
  return text === undefined ? undefined : new CommandError(text)
}
