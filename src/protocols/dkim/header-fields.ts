/** The header as DKIM sees it: everything up to the first empty line, line by line (RFC 6376 §3.4, §5.4.2). A line that is no
 *  field stays as it is: the bytes that came are hashed. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Canonicalization } from './canonical-body.ts'

export interface HeaderField {
  /** In lower case; empty if there is no colon. */
  readonly name: ByteString
  /** As it came: name, colon, value, continuations, without the last LF. */
  readonly raw: ByteString
}

/** `header` has LF at its line ends and no empty line. */
export function headerFields(header: ByteString): HeaderField[] {
  const raws: ByteString[] = []
  let from = 0
  for (let at = 0; at < header.length; ) {
    const feed = header.indexOf('\n', at)
    const end = feed < 0 ? header.length : feed
    const next = header.charAt(end + 1)
    if (next !== ' ' && next !== '\t') {
      raws.push(header.slice(from, end))
      from = end + 1
    }
    at = end + 1
  }
  return raws.map((raw) => ({ name: nameOf(raw), raw }))
}

export function valueOf({ raw }: HeaderField): ByteString {
  return raw.slice(raw.indexOf(':') + 1)
}

/** The signed text: for each name its last field that is not taken yet, then the signature without its own value. */
export function signedText(
  fields: readonly HeaderField[],
  names: readonly ByteString[],
  signature: HeaderField,
  canonicalization: Canonicalization,
): ByteString {
  const left = new Map<ByteString, HeaderField[]>()
  for (const field of fields) {
    if (field === signature) continue
    const same = left.get(field.name)
    if (same === undefined) left.set(field.name, [field])
    else same.push(field)
  }
  let text = ''
  for (const name of names) {
    const field = left.get(name.toLowerCase())?.pop()
    if (field !== undefined) text += `${canonicalField(field, canonicalization)}\r\n`
  }
  const unsigned = { name: signature.name, raw: withoutSignatureValue(signature.raw) }
  return text + canonicalField(unsigned, canonicalization)
}

/** Without its line end. */
function canonicalField({ name, raw }: HeaderField, canonicalization: Canonicalization): ByteString {
  if (canonicalization === 'simple') return raw.replaceAll('\n', '\r\n')
  const value = raw.slice(raw.indexOf(':') + 1).replaceAll('\n', '')
  return `${name}:${value
    .replace(/[ \t]+/g, ' ')
    .replace(/^ /, '')
    .replace(/ $/, '')}`
}

/** RFC 6376 §3.7: b= stays, and what is between it and the next semicolon goes. */
function withoutSignatureValue(raw: ByteString): ByteString {
  const colon = raw.indexOf(':') + 1
  const specs = raw.slice(colon).split(';')
  const emptied = specs.map((spec) => /^[ \t\r\n]*b[ \t\r\n]*=/.exec(spec)?.[0] ?? spec)
  return raw.slice(0, colon) + emptied.join(';')
}

function nameOf(raw: ByteString): ByteString {
  const colon = raw.indexOf(':')
  let end = Math.max(colon, 0)
  while (end > 0 && ' \t'.includes(raw.charAt(end - 1))) end--
  return raw.slice(0, end).toLowerCase()
}
