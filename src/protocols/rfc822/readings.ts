/** Every address that some reader of a field could take for the one that is meant. Mail programs read display names,
 *  encoded words, comments and what is not closed each in its own way; a caller that must be sure that no unknown address is
 *  named needs them all.
 *  Errs on the side of too many: text like an address counts wherever a reader could come upon it. */
import { type ByteString, fromBuffer, fromText, toBuffer } from '../../base/byte-string.ts'
import { parseAddressList } from './address-list.ts'
import { type Token, tokensOf } from './tokens.ts'

/** As envelopes have them. Only addresses with a domain: others name no particular mailbox. */
export function everyReading(value: ByteString): ByteString[] {
  const addresses = parseAddressList(value)?.addresses
  const found: ByteString[] = []
  for (const { local, domain } of addresses ?? []) {
    if (domain === '') continue
    found.push(`${local}@${domain}`)
    // "ceo@bank.example x"@host: not every reader knows that quotes may be in an address.
    for (const address of nakedAddresses(local)) found.push(address)
  }
  const isAgreed = addresses !== undefined && !value.includes('\\') && !hasNestedComment(value)
  const visible = isAgreed ? withoutRemarks(value) : value
  for (const address of nakedAddresses(visible.replace(/=\?[^?\s]+\?[bq]\?/gi, ' '))) found.push(address)
  const words = encodedWords(value)
  for (const gap of ['', ' ']) for (const address of nakedAddresses(fromText(words.join(gap)))) found.push(address)
  return found
}

/** Comments and quoted names taken out: there `@` is a letter. */
function withoutRemarks(value: ByteString): ByteString {
  const tokens = tokensOf(value) ?? []
  let text = ''
  let at = 0
  for (const [index, { kind, from, to }] of tokens.entries()) {
    if (kind !== 'comment' && !(kind === 'quoted' && isName(tokens, index))) continue
    text += `${value.slice(at, from)} `
    at = to
  }
  return text + value.slice(at)
}

/** `<` comes before anything that could end the name. */
function isName(tokens: readonly Token[], index: number): boolean {
  for (let at = index + 1; at < Math.min(tokens.length, index + nameTokensMax); at++) {
    const kind = tokens[at]?.kind
    if (kind === '<') return true
    if (kind === ',' || kind === ';' || kind === ':' || kind === '>') return false
  }
  return false
}

/** A longer run is not taken for a name, so that the work grows only with the length of the field. */
const nameTokensMax = 50

/** Not every reader counts how deep they are. */
function hasNestedComment(value: ByteString): boolean {
  return /\([^()]*\(/.test(value)
}

/** Encoded words, decoded: some readers decode first and parse then, some end a text at its first control character. */
function encodedWords(value: ByteString): string[] {
  const words: string[] = []
  for (const [, charset = '', encoding = '', word = ''] of value.matchAll(/=\?([^?\s]+)\?([bq])\?([^?]*)\?=/gi)) {
    const bytes = encoding.toLowerCase() === 'b' ? Buffer.from(word, 'base64') : toBuffer(decodeQ(word))
    words.push(decoded(bytes, charset).replaceAll('\0', ''))
  }
  return words
}

/** In some alphabets `@` is half of a letter. */
function decoded(bytes: Buffer, charset: ByteString): string {
  try {
    return new TextDecoder(charset.replace(/\*.*/, '')).decode(bytes)
  } catch {
    return fromBuffer(bytes)
  }
}

/** RFC 2047 §4.2. */
function decodeQ(word: ByteString): ByteString {
  return word
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** What stands around each `@`: as it is, without blanks about it and about dots (RFC 5322 §4.4), and without those in
 *  angle brackets. */
function nakedAddresses(text: ByteString): ByteString[] {
  if (!text.includes('@')) return []
  const found: ByteString[] = []
  const dense = text.replace(/[ \t\r\n]+/g, ' ').replace(/ ?([.@]) ?/g, '$1')
  for (const form of [text, dense, dense.replace(/<[^<>]*>/g, (inside) => inside.replaceAll(' ', ''))]) {
    let before = ''
    for (const [index, part] of form.split('@').entries()) {
      const domain = /^(?:\[[^\]\s]*\]|[a-z0-9._\-\x80-\xff]*)/i.exec(part)?.[0].replace(/\.$/, '') ?? ''
      // Without a dot in it, it is no host on the Internet, but may be half of a letter.
      if (index > 0 && before !== '' && /[.[]/.test(domain)) found.push(`${before}@${domain}`)
      before = localAtEnd(part)
    }
  }
  return found
}

function localAtEnd(part: ByteString): ByteString {
  let from = part.length
  while (from > 0 && isLocalByte(part.charCodeAt(from - 1))) from--
  return part.slice(from)
}

function isLocalByte(code: number): boolean {
  return code > 32 && code !== 127 && !'()<>[]:;,"\\'.includes(String.fromCharCode(code))
}
