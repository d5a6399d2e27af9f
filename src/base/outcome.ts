/** The house's one form for "this mail cannot be dealt with now, or ever".
 *  A failure has one class; SMTP reply codes, K/Z/D letters and exit codes are derived from it, never stored beside it.
 *  Anything not understood is temporary: only code that knows may say 5. */

export interface Failure {
  readonly class: 4 | 5
  /** What a peer may read: ASCII, one line, no paths and no configuration. */
  readonly peerText: string
  /** What the log says: everything, one line. */
  readonly logText: string
}

export type Outcome<T> =
  | { readonly done: true; readonly value: T }
  | { readonly done: false; readonly failure: Failure }

export function done<T>(value: T): Outcome<T> {
  return { done: true, value }
}

export function failed(failure: Failure): Outcome<never> {
  return { done: false, failure }
}

export function transient(peerText: string, logText: string = peerText): Failure {
  return { class: 4, peerText, logText }
}

export function permanent(peerText: string, logText: string = peerText): Failure {
  return { class: 5, peerText, logText }
}

/** What an exception from `system/` becomes: temporary, whatever it was. */
export function transientFrom(error: unknown, attempted: string, peerText = 'temporary failure (#4.3.0)'): Failure {
  return transient(peerText, `${attempted}: ${describeError(error)}`)
}

/** One line that says what an exception was. */
export function describeError(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replaceAll('\n', ' ')
}
