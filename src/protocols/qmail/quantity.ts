/** Numbers as people write them: `200`, a size as `50M`, a time as `7d`. The whole text is the number: digits with anything
 *  else after them than their unit are none, since a part of them would silently mean something else. */
import type { ByteString } from '../../base/byte-string.ts'

/** What a number counts; undefined: things. */
export type Quantity = 'bytes' | 'seconds' | undefined

/** In words, for a message about a wrong one. */
export const quantityForms: Readonly<Record<'bytes' | 'seconds' | 'count', string>> = {
  bytes: 'a number of bytes, or one with K, M or G (50M)',
  seconds: 'a number of seconds, or one with s, m, h, d or w (7d)',
  count: 'a whole number',
}

const bytesOf: ReadonlyMap<string, number> = new Map([
  ...['', 'b', 'byte', 'bytes'].map((name) => [name, 1] as const),
  ...['k', 'm', 'g', 't'].flatMap((letter, at) =>
    ['', 'b', 'ib'].map((end) => [letter + end, 1024 ** (at + 1)] as const),
  ),
])

/** A K is 1024 bytes, whether as K, KB or KiB, in any case. */
export function parseBytes(text: ByteString): number | undefined {
  return parse(text, (unit) => bytesOf.get(unit.toLowerCase()))
}

const secondsOf: ReadonlyMap<string, number> = new Map(
  [
    { seconds: 1, names: ['', 's', 'sec', 'secs', 'second', 'seconds'] },
    { seconds: 60, names: ['m', 'min', 'mins', 'minute', 'minutes'] },
    { seconds: 3600, names: ['h', 'hr', 'hrs', 'hour', 'hours'] },
    { seconds: 86_400, names: ['d', 'day', 'days'] },
    { seconds: 604_800, names: ['w', 'week', 'weeks'] },
  ].flatMap(({ seconds, names }) => names.map((name) => [name, seconds] as const)),
)

/** `M` might be a month: it is none. */
export function parseSeconds(text: ByteString): number | undefined {
  return parse(text, (unit) => (unit === 'M' ? undefined : secondsOf.get(unit.toLowerCase())))
}

export function parseCount(text: ByteString): number | undefined {
  return parse(text, (unit) => (unit === '' ? 1 : undefined))
}

export function parseQuantity(text: ByteString, quantity: Quantity): number | undefined {
  if (quantity === 'bytes') return parseBytes(text)
  return quantity === 'seconds' ? parseSeconds(text) : parseCount(text)
}

function parse(text: ByteString, factorOf: (unit: string) => number | undefined): number | undefined {
  const found = /^([0-9]{1,15})[ \t]?([A-Za-z]{0,7})$/.exec(text)
  const factor = found === null ? undefined : factorOf(found[2] ?? '')
  if (factor === undefined) return undefined
  const value = Number(found?.[1]) * factor
  return Number.isSafeInteger(value) ? value : undefined
}
