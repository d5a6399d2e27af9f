/** One check's answer: for the log, and for `quaver smtp explain`. */
export interface Finding {
  readonly check: string
  /** The control file, line, record or account that decided. */
  readonly rule: string
  readonly text: string
}
