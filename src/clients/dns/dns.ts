/** What we ask of the domain name system. An answer has one of four kinds, because mail treats them differently:
 *  a name that does not exist bounces, one without such records may have others, trouble defers. */
import type { ByteString } from '../../base/byte-string.ts'
import type { TlsaRecord } from '../../protocols/dane/tlsa.ts'

export type Answer<T> = Finding<T> & {
  /** On the asker's monotonic clock: until then the same question has the same answer. Absent: unknown. */
  readonly freshUntil?: number
  /** A trusted resolver has verified the answer by DNSSEC, also an answer that there is nothing. */
  readonly isSecure?: boolean
}

type Finding<T> =
  | { readonly kind: 'found'; readonly values: readonly T[] }
  /** The name exists, or may exist, without records of this type. */
  | { readonly kind: 'none' }
  /** There is no such name (NXDOMAIN). */
  | { readonly kind: 'hard' }
  /** Unknown for now: SERVFAIL, no answer, refused. */
  | { readonly kind: 'soft'; readonly why: string }

export interface MailExchanger {
  readonly preference: number
  /** Empty for the null MX (RFC 7505). */
  readonly name: string
}

export interface Dns {
  mx(name: string): Promise<Answer<MailExchanger>>
  /** IPv4 first, then IPv6. */
  addresses(name: string): Promise<Addresses>
}

export type Addresses = Answer<string> & {
  /** The addresses of the other family are unknown for now. */
  readonly isPart?: boolean
  /** Behind all CNAME records; absent where they were not looked at. */
  readonly canonicalName?: string
}

/** Answers that say whether they are secure. */
export interface TlsaDns {
  /** To be asked only for a name that is secure itself: some name servers fail at this question elsewhere (RFC 7672 §2.1). */
  tlsa(name: string): Promise<Answer<TlsaRecord>>
}

/** Type by type, as SPF and DNS lists ask. Names are asked as they are; one that cannot be asked is `soft`. */
export interface RecordDns {
  a(name: string): Promise<Answer<string>>
  aaaa(name: string): Promise<Answer<string>>
  mx(name: string): Promise<Answer<MailExchanger>>
  /** One value a record: its strings put together, as bytes. */
  txt(name: string): Promise<Answer<ByteString>>
  ptr(name: string): Promise<Answer<string>>
}

/** A domain from an address as the name to ask for: in lower case, without a final dot; undefined if no host can have
 *  that name. Letters, digits, hyphen and underscore only (RFC 1123 §2.1): other bytes never reach a resolver or a path.
 *  A UTF-8 name must have been turned into its ASCII form before. */
export function asHostName(domain: ByteString): string | undefined {
  const name = (domain.endsWith('.') ? domain.slice(0, -1) : domain).toLowerCase()
  if (name.length === 0 || name.length > 253 || !/^[a-z0-9._-]+$/.test(name)) return undefined
  return name.split('.').every((label) => label.length >= 1 && label.length <= 63) ? name : undefined
}
