/** The caller, or a control file, asks for something impossible. */
export class UsageError extends Error {
  override name = 'UsageError'
}
