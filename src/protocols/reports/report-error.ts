/** The input is no report, or one that costs too much to read. The message says why, for a person. */
export class ReportError extends Error {
  override name = 'ReportError'
}
