/** Dates in header fields (RFC 5322 §3.3 and §4.3), as leniently as mess822 reads them: parts in any usual order, years
 *  of two and three digits, old names of zones. */
import type { ByteString } from '../../base/byte-string.ts'
import { tokensOf } from './tokens.ts'

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const monthNames = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Hours east of Greenwich. */
const zones: ReadonlyMap<string, number> = new Map([
  ...Object.entries({ ut: 0, utc: 0, gmt: 0, z: 0, bst: 1, cet: 1, cest: 2, met: 1, metdst: 2, eet: 2, ist: 2 }),
  ...Object.entries({ hkt: 8, jst: 9, est: -5, edt: -4, cst: -6, cdt: -5, mst: -7, mdt: -6, pst: -8, pdt: -7 }),
])

interface Parts {
  readonly numbers: string[]
  month: number | undefined
  time: readonly number[] | undefined
  /** Minutes east, and as written. */
  zone: string | undefined
  hours: number | undefined
  isSummer: boolean
}

/** The date in its normal form, `21 Nov 2026 09:08:07 +0100`; undefined if there is none in `value`. */
export function normalDate(value: ByteString): ByteString | undefined {
  const parts: Parts = {
    numbers: [],
    month: undefined,
    time: undefined,
    zone: undefined,
    hours: undefined,
    isSummer: false,
  }
  for (const word of wordsOf(value)) readWord(parts, word)
  const day = dayOf(parts)
  const time = parts.time ?? []
  if (day === undefined || time.length < 2) return undefined
  const [hour = 0, minute = 0, second = 0] = time
  const clock = [hour, minute, second].map((part) => String(part).padStart(2, '0')).join(':')
  return `${day.day} ${monthNames[day.month] ?? ''} ${day.year} ${clock} ${zoneOf(parts)}`
}

/** Comments are none, and a time stays together. */
function wordsOf(value: ByteString): string[] {
  let text = ''
  for (const token of tokensOf(value)) {
    if (token.kind === 'comment') text += ' '
    else if (token.kind === 'special' && token.text === ',') text += ' '
    else text += (token.spaced && !(token.kind === 'special') ? ' ' : '') + token.text
  }
  return text.split(' ').filter((word) => word !== '')
}

function readWord(parts: Parts, word: string): void {
  const lower = word.toLowerCase()
  if (/^\d{1,2}:\d{1,2}(:\d{1,2})?$/.test(word)) parts.time ??= timeOf(word)
  else if (/^[+-]\d{4}$/.test(word)) parts.zone ??= word
  else if (/^\d{1,4}$/.test(word)) parts.numbers.push(word)
  else if (zones.has(lower)) parts.hours ??= zones.get(lower)
  else if (lower === 'dst') parts.isSummer = true
  else if (/^\d{1,4}-[a-z\d]{1,9}-\d{1,4}$/.test(lower)) for (const part of lower.split('-')) readWord(parts, part)
  else if (/^\d{4}-\d{2}-\d{2}t\d{2}:\d{2}:\d{2}z?$/.test(lower))
    for (const part of isoParts(lower)) readWord(parts, part)
  else {
    const month = lower.length >= 3 ? months.indexOf(lower.slice(0, 3)) : -1
    if (month >= 0) parts.month ??= month
  }
}

function isoParts(lower: string): string[] {
  const [date = '', time = ''] = lower.split('t')
  return time.endsWith('z') ? [date, time.slice(0, -1), 'z'] : [date, time]
}

function timeOf(word: string): number[] | undefined {
  const time = word.split(':').map(Number)
  const [hour = 0, minute = 0, second = 0] = time
  return hour < 24 && minute < 60 && second <= 60 ? time : undefined
}

function dayOf(parts: Parts): { readonly day: number; readonly month: number; readonly year: number } | undefined {
  const { numbers } = parts
  // 2026-11-21, or 21 11 2026 never: without a name only the ISO order is known.
  const iso = parts.month === undefined
  if (numbers.length < (iso ? 3 : 2)) return undefined
  const [first = '', second = '', third = ''] = numbers
  const yearFirst = first.length > 2
  if (iso && !yearFirst) return undefined
  const month = parts.month ?? Number(second) - 1
  const year = fullYear(yearFirst ? first : second)
  const day = Number(yearFirst ? (iso ? third : second) : first)
  if (month < 0 || month > 11 || day < 1 || day > daysIn(month, year)) return undefined
  return { day, month, year }
}

function fullYear(digits: string): number {
  const year = Number(digits)
  if (digits.length > 3) return year
  if (year < 50) return year + 2000
  return year < 999 ? year + 1900 : year
}

function daysIn(month: number, year: number): number {
  if (month === 1) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
  return [3, 5, 8, 10].includes(month) ? 30 : 31
}

/** Without a zone that is known, nobody can say where it was: -0000. */
function zoneOf({ zone, hours, isSummer }: Parts): string {
  if (zone !== undefined) return Number(zone.slice(3)) < 60 ? zone : '-0000'
  if (hours === undefined) return '-0000'
  const east = hours + (isSummer ? 1 : 0)
  return `${east < 0 ? '-' : '+'}${String(Math.abs(east)).padStart(2, '0')}00`
}
