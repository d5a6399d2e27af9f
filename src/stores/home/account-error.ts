/** An administrator asked for what cannot be; the message is the remedy. */
export class AccountError extends Error {
  override name = 'AccountError'
}
