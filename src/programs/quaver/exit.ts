/** Exit codes, and the errors that carry one to main.ts. */

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
