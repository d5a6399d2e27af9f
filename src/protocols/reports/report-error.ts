/** What was sent is no report, or one that is not worth its cost. The message says why, for a person. */
export class ReportError extends Error {
  override name = 'ReportError'
}
