/** Which account a login name means, and whether it is one that may never log in. */
import { type ByteString, fromText, lowerAscii } from '../../base/byte-string.ts'
import { accountBytesMax } from '../../contracts/sessions.ts'
import type { AccountCredentials } from '../../stores/credentials/credential-lines.ts'
import { prepareText, textFromClient } from '../../stores/credentials/prepare-text.ts'

export interface Identity {
  readonly account: ByteString
  /** Undefined: it has no stored credentials. */
  readonly known: AccountCredentials | undefined
}

/** A name without `@` is an address at our own host, if there is one. */
export function identify(
  name: ByteString,
  accounts: ReadonlyMap<ByteString, AccountCredentials>,
  ownHost: ByteString,
): Identity {
  const folded = foldName(name).slice(0, accountBytesMax)
  const known = accounts.get(folded)
  if (known !== undefined || folded.includes('@')) return { account: folded, known }
  const full = `${folded}@${lowerAscii(ownHost)}`
  const there = accounts.get(full)
  return there === undefined ? { account: folded, known } : { account: full, known: there }
}

/** The name of a system user that the account may mean: its own, or that before the `@` of a domain delivered here. */
export function systemUser(account: ByteString, ownDomains: readonly ByteString[]): ByteString | undefined {
  const at = account.lastIndexOf('@')
  if (at === -1) return account
  const domain = account.slice(at + 1)
  return ownDomains.some((own) => lowerAscii(own) === domain) ? account.slice(0, at) : undefined
}

/** Drops blanks around a name: pasting and word completion on telephones add them. */
function foldName(name: ByteString): ByteString {
  const typed = trimBlanks(name)
  if (/^[ -~]*$/.test(typed)) return lowerAscii(typed)
  const prepared = prepareText(textFromClient(typed))
  return lowerAscii(prepared === undefined ? typed : fromText(prepared))
}

function trimBlanks(name: ByteString): ByteString {
  const isBlank = (at: number): boolean => name[at] === ' ' || name[at] === '\t'
  let [from, to] = [0, name.length]
  while (from < to && isBlank(from)) from++
  while (from < to && isBlank(to - 1)) to--
  return name.slice(from, to)
}
