/** Addresses that may become accounts and aliases: their parts become file names and lines of users/assign. */
import { type ByteString, fromText } from '../../base/byte-string.ts'
import { AccountError } from '../home/account-error.ts'

const labelPattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
/** No colon, slash or control character can occur, and no leading dash; `+` separates tags. */
const localPattern = /^[a-z0-9_][a-z0-9._-]{0,63}$/
/** What an alias may lead to: no blanks and no control characters, in a line of a `.qmail` file. */
const targetPattern = /^[!-~\x80-\xff]{1,64}$/

export interface AccountAddress {
  /** Empty in an alias: a catch-all. */
  readonly local: string
  readonly domain: string
}

/** In lower case. Throws AccountError. */
export function parseAccountAddress(text: string): AccountAddress {
  const at = text.lastIndexOf('@')
  if (at < 1) throw new AccountError(`'${text}' is no address: write it as name@example.org`)
  const local = text.slice(0, at).toLowerCase()
  // RFC 5321 §4.1.2, Dot-string.
  if (local.split('.').includes(''))
    throw new AccountError(`'${local}' cannot be an account: a dot needs another character before and after it`)
  if (!localPattern.test(local))
    throw new AccountError(`'${local}' cannot be an account: letters, digits, '.', '_' and '-' can, up to 64 of them`)
  return { local, domain: parseDomain(text.slice(at + 1)) }
}

/** The same, or `@domain`. */
export function parseAliasAddress(text: string): AccountAddress {
  return text.startsWith('@') ? { local: '', domain: parseDomain(text.slice(1)) } : parseAccountAddress(text)
}

/** In lower case. Throws AccountError. */
export function parseDomain(text: string): string {
  const domain = text.toLowerCase()
  if (domain.length > 253 || !domain.split('.').every((label) => labelPattern.test(label)))
    throw new AccountError(`'${domain}' is no domain name: write it in ASCII (xn--… for other letters)`)
  return domain
}

/** Where an alias leads: any address, its domain in lower case. Throws AccountError. */
export function parseTarget(text: string): ByteString {
  const at = text.lastIndexOf('@')
  const local = fromText(text.slice(0, at))
  if (at < 1 || !targetPattern.test(local))
    throw new AccountError(`'${text}' is no address that mail can be sent to: write it as name@example.org`)
  return `${local}@${parseDomain(text.slice(at + 1))}`
}

export function textOf({ local, domain }: AccountAddress): string {
  return `${local}@${domain}`
}
