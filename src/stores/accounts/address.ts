/** Addresses that may become accounts: their parts become file names and lines of users/assign. */

const labelPattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
/** No colon, slash or control character can occur, and no leading dot; `+` separates tags. */
const localPattern = /^[a-z0-9_][a-z0-9._-]{0,63}$/

export interface AccountAddress {
  readonly local: string
  readonly domain: string
}

export class AccountError extends Error {
  override name = 'AccountError'
}

/** In lower case. Throws AccountError. */
export function parseAccountAddress(text: string): AccountAddress {
  const at = text.lastIndexOf('@')
  if (at < 1) throw new AccountError(`'${text}' is no address: write it as name@example.org`)
  const local = text.slice(0, at).toLowerCase()
  const domain = text.slice(at + 1).toLowerCase()
  if (!localPattern.test(local))
    throw new AccountError(`'${local}' cannot be an account: letters, digits, '.', '_' and '-' can, up to 64 of them`)
  const labels = domain.split('.')
  if (domain.length > 253 || !labels.every((label) => labelPattern.test(label)))
    throw new AccountError(`'${domain}' is no domain name: write it in ASCII (xn--… for other letters)`)
  return { local, domain }
}
