/** For which domain a message speaks: that of its authors, which DMARC compares with a signature's (RFC 9989 §4.7). */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { parseAddressList } from '../rfc822/address-list.ts'
import { headerFields, valueOf } from './header-fields.ts'

export type AuthorDomain = { readonly domain: ByteString } | { readonly domain: undefined; readonly why: string }

/** In lower case. Undefined, with the reason, where receivers could see another one, or none. */
export function authorDomain(header: ByteString): AuthorDomain {
  const fields = headerFields(header).filter(({ name }) => name === 'from')
  const [field] = fields
  if (field === undefined) return none('it has no From')
  if (fields.length > 1) return none(`it has ${fields.length} fields From`)
  const list = parseAddressList(valueOf(field))
  if (list === undefined) return none('its From cannot be read for certain')
  const domains = new Set(list.addresses.map(({ domain }) => lowerAscii(domain)))
  const [domain = '', another] = domains
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

function none(why: string): AuthorDomain {
  return { domain: undefined, why }
}
