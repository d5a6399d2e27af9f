/** The caller, or a control file, asks for something that cannot be. */
export class UsageError extends Error {
  override name = 'UsageError'
}
