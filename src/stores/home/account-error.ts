/** A request of an administrator that cannot be done; the message names the remedy. */
export class AccountError extends Error {
  override name = 'AccountError'
}
