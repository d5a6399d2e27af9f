/** The domain for which a message speaks: that of its authors, which DMARC compares with a signature's (RFC 9989 §4.7). */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { parseAddressList } from '../rfc822/address-list.ts'
import { everyReading } from '../rfc822/readings.ts'
import { type HeaderField, headerFields, valueOf } from './header-fields.ts'

export type AuthorDomain = { readonly domain: ByteString } | { readonly domain: undefined; readonly why: string }

/** In lower case. Undefined, with the reason, where receivers could see another one, or none. */
export function authorDomain(header: ByteString): AuthorDomain {
  const field = onlyFrom(header)
  if (!('raw' in field)) return field
  const list = parseAddressList(valueOf(field))
  if (list === undefined) return none('its From cannot be read for certain')
  return onlyDomain(list.addresses.map(({ domain }) => lowerAscii(domain)))
}

export type DmarcAuthor =
  | { readonly domain: ByteString }
  /** `several`: readers could see several authors, or one with an invalid domain. `none`: they see no author. */
  | { readonly domain: undefined; readonly why: string; readonly authors: 'none' | 'several' }

/** Of a From that strangers wrote: room for two hundred authors. */
const authorFieldBytesMax: number = 16 * 1024

/** The same for a receiver, which must evaluate every From: where readers differ about one, all must see the same domain.
 *  `asciiForm`: of a name in UTF-8, as the DNS has it (RFC 5891). */
export function dmarcAuthor(header: ByteString, asciiForm: (domain: ByteString) => ByteString): DmarcAuthor {
  const field = onlyFrom(header)
  if (!('raw' in field)) return { ...field, authors: field.isAbsent ? 'none' : 'several' }
  const value = valueOf(field)
  if (value.length > authorFieldBytesMax) return { ...none('its From is too long'), authors: 'several' }
  const seen =
    parseAddressList(value)?.addresses.map(({ domain }) => domain) ??
    everyReading(value).map((address) => address.slice(address.lastIndexOf('@') + 1))
  const domains = new Set(seen.map((domain) => lowerAscii(asciiForm(domain.replace(/\.$/, '')))))
  const [domain = '', another] = domains
  if (another !== undefined) return { ...none('its authors are of several domains'), authors: 'several' }
  if (domain === '' || domain.startsWith('[')) return { ...none('its author has no domain'), authors: 'none' }
  if (domain.length <= 253 && domain.split('.').every(isLabel)) return { domain }
  return { ...none('the domain of its author is none'), authors: 'several' }
}

function onlyFrom(header: ByteString): HeaderField | (ReturnType<typeof none> & { readonly isAbsent: boolean }) {
  const fields = headerFields(header).filter(({ name }) => name === 'from')
  const [field] = fields
  if (field === undefined) return { ...none('it has no From'), isAbsent: true }
  return fields.length > 1 ? { ...none(`it has ${fields.length} fields From`), isAbsent: false } : field
}

function onlyDomain(domains: readonly ByteString[]): AuthorDomain {
  const [domain = '', another] = new Set(domains)
  if (another !== undefined) return none('its authors are of several domains')
  return isName(domain) ? { domain } : none('its author has no domain')
}

/** With a dot in it; an address literal has no keys. */
export function isName(domain: ByteString): boolean {
  return domain.length <= 253 && domain.split('.').length > 1 && domain.split('.').every((label) => isLabel(label))
}

function isLabel(text: ByteString): boolean {
  return text.length <= 63 && /^[a-z0-9_]([a-z0-9_-]*[a-z0-9])?$/.test(text)
}

function none(why: string): { readonly domain: undefined; readonly why: string } {
  return { domain: undefined, why }
}
