/** The forms of qmail's control files (qmail-control(5)). An empty file is not an absent one: absence is the caller's.
 *  Leading blanks are part of a value; what ends a line is not (written-text.ts); only a `#` in the first byte comments. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { parseQuantity, type Quantity } from './quantity.ts'
import { writtenLines } from './written-text.ts'

/** The first line. */
export function parseLine(text: ByteString): ByteString {
  return writtenLines(text)[0] ?? ''
}

/** The first line; undefined if it is not a number, whole and alone or with a unit of its quantity. */
export function parseNumber(text: ByteString, quantity: Quantity): number | undefined {
  return parseQuantity(parseLine(text), quantity)
}

export interface WrittenLine {
  /** In the file, from 1. */
  readonly line: number
  readonly text: ByteString
}

/** The lines that are neither empty nor a comment. */
export function contentLines(text: ByteString): WrittenLine[] {
  return writtenLines(text)
    .map((line, at) => ({ line: at + 1, text: line }))
    .filter((one) => one.text !== '' && !one.text.startsWith('#'))
}

export function parseList(text: ByteString): ByteString[] {
  return contentLines(text).map((one) => one.text)
}

/** `key:value` lines; keys fold to lower case; lines without `:` are passed over. Of equal keys the last line wins, or, if
 *  `joins`, their values become one with commas between. */
export function parseMap(text: ByteString, joins = false): Map<ByteString, ByteString> {
  const map = new Map<ByteString, ByteString>()
  for (const line of parseList(text)) {
    const colon = line.indexOf(':')
    if (colon < 0) continue
    const key = lowerAscii(line.slice(0, colon))
    const value = line.slice(colon + 1)
    const before = joins ? map.get(key) : undefined
    map.set(key, before === undefined ? value : `${before},${value}`)
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
