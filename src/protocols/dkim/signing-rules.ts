/** Who signs with which keys: lines of control/dkimdomains, `DOMAIN:SELECTOR[,SELECTOR]`, and of control/dkimusers,
 *  `ACCOUNT:DOMAIN[,DOMAIN]`.
 *  A domain without a line uses its parent's if that has one; `@` stands for all others. Each selector of a line makes a
 *  signature, such as one of RSA and one of Ed25519. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { isName } from './author-domain.ts'

export const signingForm =
  'selectors separated by commas, as example.org:q1 or example.org:q1,q2; @ is every other domain'
export const signingUserForm = 'domains separated by commas, as www-data:example.org; @ is every domain'
const selectorsMax = 4
/** In dkimdomains every other domain, in dkimusers every domain. */
export const everyDomain = '@'

export interface SigningRule {
  /** d= of the signature. */
  readonly domain: ByteString
  readonly selectors: readonly ByteString[]
}

export type Lines = ReadonlyMap<ByteString, ByteString> | undefined

/** `domain` in lower case, as the keys of `lines`. */
export function signingRuleFor(domain: ByteString, lines: Lines): SigningRule | undefined {
  for (let name = domain; name.includes('.'); name = name.slice(name.indexOf('.') + 1)) {
    const selectors = selectorsOf(lines?.get(name))
    if (selectors !== undefined) return { domain: name, selectors }
  }
  const selectors = selectorsOf(lines?.get(everyDomain))
  return selectors === undefined ? undefined : { domain, selectors }
}

/** Of a line of control/dkimdomains, its domain in lower case; undefined for what is no such line. */
export function selectorsIn(domain: ByteString, value: ByteString): readonly ByteString[] | undefined {
  return domain === everyDomain || isName(domain) ? selectorsOf(value) : undefined
}

/** May the account have mail of this domain signed? */
export function isListedFor(account: ByteString, domain: ByteString, lines: Lines): boolean {
  const domains = (lines?.get(account) ?? '').split(',').map((one) => lowerAscii(one.trim()))
  return domains.includes(domain) || domains.includes(everyDomain)
}

export function isSigningUserLine(value: ByteString): boolean {
  return value.split(',').every((one) => one.trim() === everyDomain || isName(lowerAscii(one.trim())))
}

export function isSelector(text: ByteString): boolean {
  return text.length <= 63 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text)
}

/** Undefined for what is none. */
function selectorsOf(value: ByteString | undefined): readonly ByteString[] | undefined {
  const selectors = (value ?? '').split(',').map((one) => lowerAscii(one.trim()))
  return selectors.length <= selectorsMax && selectors.every((one) => isSelector(one)) ? selectors : undefined
}
