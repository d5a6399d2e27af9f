/** The parameters of RFC 3461. They are kept for the day on which a report answers them, and not offered before; clients send
 *  them unasked. One that is malformed is passed over, as qmail passed over all. */
import type { ByteString } from '../../base/byte-string.ts'

const envidBytesMax = 100
const orcptBytesMax = 500

/** By name: what is kept of a value; undefined: it is malformed. */
export type KnownParameters = ReadonlyMap<string, (value: ByteString) => ByteString | undefined>

export const dsnOfMail: KnownParameters = new Map([
  ['RET', (value) => oneOf(value, ['FULL', 'HDRS'])],
  ['ENVID', (value) => (value !== '' && isXtext(value, envidBytesMax) ? value : undefined)],
])

export const dsnOfRecipient: KnownParameters = new Map([
  ['NOTIFY', notify],
  ['ORCPT', (value) => (isOriginalRecipient(value) ? value : undefined)],
])

function oneOf(value: ByteString, words: readonly string[]): string | undefined {
  return words.find((word) => word === value.toUpperCase())
}

/** NEVER alone, or each of the others at most once. */
function notify(value: ByteString): string | undefined {
  if (oneOf(value, ['NEVER']) !== undefined) return 'NEVER'
  const words = value.split(',').map((word) => oneOf(word, ['SUCCESS', 'FAILURE', 'DELAY']))
  const isWhole = words.every((word) => word !== undefined) && new Set(words).size === words.length
  return isWhole ? words.join(',') : undefined
}

/** `rfc822;user+40host`: a kind of address, and one of that kind in xtext. */
function isOriginalRecipient(value: ByteString): boolean {
  const semicolon = value.indexOf(';')
  return (
    /^[A-Za-z0-9-]+$/.test(value.slice(0, Math.max(0, semicolon))) && isXtext(value.slice(semicolon + 1), orcptBytesMax)
  )
}

/** RFC 3461 §4: printable ASCII, with `+HH` for what may not stand there. What it stands for is to be written into a report, so
 *  it is no control character. */
function isXtext(value: ByteString, bytesMax: number): boolean {
  return value.length <= bytesMax && /^(?:[!-*,-<>-~]|\+[2-9A-F][0-9A-F])*$/.test(value) && !value.includes('+7F')
}
