/** A DKIM-Signature field (RFC 6376 §3.5), read as strictly as the RFC writes it. */
import type { ByteString } from '../../base/byte-string.ts'
import { decodeBase64 } from '../sasl/base64.ts'
import type { Canonicalization } from './canonical-body.ts'
import { colonList, parseTagList, withoutBlanks } from './tag-list.ts'

export type Algorithm = 'rsa-sha256' | 'ed25519-sha256'

export interface Signature {
  readonly algorithm: Algorithm
  readonly value: ByteString
  /** What b= begins with: it tells two signatures of a domain apart (RFC 6008). */
  readonly mark: ByteString
  readonly bodyHash: ByteString
  readonly header: Canonicalization
  readonly body: Canonicalization
  /** Both in lower case. */
  readonly domain: ByteString
  readonly selector: ByteString
  /** Of i=, or `domain`. In lower case. */
  readonly identityDomain: ByteString
  readonly names: readonly ByteString[]
  /** l=: how much of the body is signed; undefined: all of it. */
  readonly bodyBytes: number | undefined
}

/** Why it can never pass. `policy`: a signature that others may honour, and we do not. */
export interface Refusal {
  readonly result: 'permerror' | 'policy'
  readonly reason: string
}

export type ReadSignature =
  | { readonly read: true; readonly signature: Signature }
  | ({ readonly read: false } & Pick<Signature, 'domain' | 'selector' | 'mark'> & Refusal)

/** Of h=. */
const namesMax = 200
/** RFC 6008 §3. */
const markBytes = 8

/** `value`: what follows the colon; `now`: seconds since 1970. */
export function readSignature(value: ByteString, now: number): ReadSignature {
  const tags = parseTagList(value)
  if (tags === undefined) return { read: false, domain: '', selector: '', mark: '', ...permanent('no list of tags') }
  const tag = (name: string): ByteString | undefined => tags.get(name)
  const domain = (tag('d') ?? '').toLowerCase()
  const selector = (tag('s') ?? '').toLowerCase()
  const mark = withoutBlanks(tag('b') ?? '').slice(0, markBytes)
  const refuse = (refusal: Refusal): ReadSignature => ({ read: false, domain, selector, mark, ...refusal })
  for (const name of ['v', 'a', 'b', 'bh', 'd', 'h', 's'])
    if (tag(name) === undefined) return refuse(permanent(`${name}= is missing`))
  const names = colonList(tag('h') ?? '')
  const trouble = formTrouble(tag, names, domain, selector) ?? timeTrouble(tag('t'), tag('x'), now)
  if (trouble !== undefined) return refuse(trouble)
  const algorithm = algorithmOf(tag('a') ?? '')
  if (typeof algorithm !== 'string') return refuse(algorithm)
  const canonicalizations = canonicalizationsOf(tag('c') ?? 'simple/simple')
  if (canonicalizations === undefined) return refuse(permanent('unknown canonicalization'))
  const [signed, bodyHash] = [tag('b') ?? '', tag('bh') ?? ''].map((text) => decodeBase64(withoutBlanks(text)))
  if (signed === undefined || bodyHash === undefined) return refuse(permanent('b= or bh= is not base64'))
  const identityDomain = identityDomainOf(tag('i'), domain)
  if (identityDomain === undefined) return refuse(permanent('i= is not of the domain d='))
  const length = tag('l')
  const bodyBytes = length === undefined ? undefined : Number(length)
  const [header, body] = canonicalizations
  const rest = { domain, selector, mark, identityDomain, names, bodyBytes }
  return { read: true, signature: { algorithm, value: signed, bodyHash, header, body, ...rest } }
}

function permanent(reason: string): Refusal {
  return { result: 'permerror', reason }
}

function formTrouble(
  tag: (name: string) => ByteString | undefined,
  names: readonly ByteString[],
  domain: ByteString,
  selector: ByteString,
): Refusal | undefined {
  if (tag('v') !== '1') return permanent('unknown version')
  if (!isDomain(domain) || !domain.includes('.')) return permanent('d= is no domain')
  if (!isDomain(selector)) return permanent('s= is no selector')
  if (names.length > namesMax) return permanent(`h= has more than ${namesMax} names`)
  if (!names.every((name) => /^[!-9;-~]+$/.test(name))) return permanent('h= has a name that is none')
  if (!names.some((name) => name.toLowerCase() === 'from')) return permanent('From is not signed')
  if (!/^\d{1,15}$/.test(tag('l') ?? '0')) return permanent('l= is no number')
  const isQueryKnown = colonList(tag('q') ?? 'dns/txt').includes('dns/txt')
  return isQueryKnown ? undefined : permanent('no known query method')
}

/** A t= in the future is no fault: clocks differ. */
function timeTrouble(
  signedAt: ByteString | undefined,
  expires: ByteString | undefined,
  now: number,
): Refusal | undefined {
  for (const time of [signedAt, expires]) if (!/^\d{1,12}$/.test(time ?? '0')) return permanent('t= or x= is no time')
  if (expires === undefined) return undefined
  if (signedAt !== undefined && Number(expires) <= Number(signedAt)) return permanent('expired before it was signed')
  return Number(expires) < now ? permanent('expired') : undefined
}

function algorithmOf(text: ByteString): Algorithm | Refusal {
  if (text === 'rsa-sha256' || text === 'ed25519-sha256') return text
  // RFC 8301 §3.1.
  return text === 'rsa-sha1' ? { result: 'policy', reason: 'SHA-1 proves nothing' } : permanent('unknown algorithm')
}

/** How the bodies of these signatures are to be hashed; `signatures`: what follows their colons. */
export function bodiesWanted(signatures: readonly ByteString[]): ReadonlySet<Canonicalization> {
  const wanted = new Set<Canonicalization>()
  for (const value of signatures) {
    const body = canonicalizationsOf(parseTagList(value)?.get('c') ?? 'simple/simple')?.[1]
    if (body !== undefined) wanted.add(body)
  }
  return wanted
}

function canonicalizationsOf(text: ByteString): readonly [Canonicalization, Canonicalization] | undefined {
  const [header = '', body = 'simple', more] = text.split('/')
  return more === undefined && isCanonicalization(header) && isCanonicalization(body) ? [header, body] : undefined
}

function isCanonicalization(text: string): text is Canonicalization {
  return text === 'simple' || text === 'relaxed'
}

function identityDomainOf(identity: ByteString | undefined, domain: ByteString): ByteString | undefined {
  if (identity === undefined) return domain
  const at = identity.lastIndexOf('@')
  const own = identity.slice(at + 1).toLowerCase()
  return at >= 0 && isDomain(own) && (own === domain || own.endsWith(`.${domain}`)) ? own : undefined
}

/** Lower case, as it can be asked for. */
function isDomain(text: ByteString): boolean {
  return text.length <= 253 && text.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))
}
