/** The forms of qmail's control files (qmail-control(5)). An empty file is not an absent one: absence is the caller's.
 *  Leading blanks and CR are part of a value; trailing blanks and tabs are not; only a `#` in the first byte comments. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'

/** The first line, without trailing blanks. */
export function parseLine(text: ByteString): ByteString {
  const end = text.indexOf('\n')
  return trimEnd(end < 0 ? text : text.slice(0, end))
}

/** The leading decimal digits of the first line; undefined if there are none. */
export function parseNumber(text: ByteString): number | undefined {
  const digits = /^[0-9]{1,15}/.exec(parseLine(text))
  return digits === null ? undefined : Number(digits[0])
}

export function parseList(text: ByteString): ByteString[] {
  const values: ByteString[] = []
  for (const line of text.split('\n')) {
    const value = trimEnd(line)
    if (value !== '' && !value.startsWith('#')) values.push(value)
  }
  return values
}

/** `key:value` lines; keys fold to lower case; of equal keys the last line wins; lines without `:` are passed over. */
export function parseMap(text: ByteString): Map<ByteString, ByteString> {
  const map = new Map<ByteString, ByteString>()
  for (const line of parseList(text)) {
    const colon = line.indexOf(':')
    if (colon >= 0) map.set(lowerAscii(line.slice(0, colon)), line.slice(colon + 1))
  }
  return map
}

/** Lookup order of smtproutes and virtualdomains below the full name: the name itself, each suffix from a dot, empty. */
export function* domainKeys(domain: ByteString): Generator<ByteString> {
  const name = lowerAscii(domain)
  yield name
  for (let dot = name.indexOf('.', name.startsWith('.') ? 1 : 0); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    yield name.slice(dot)
  }
  if (name !== '') yield ''
}

function trimEnd(line: ByteString): ByteString {
  let end = line.length
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--
  return end === line.length ? line : line.slice(0, end)
}
