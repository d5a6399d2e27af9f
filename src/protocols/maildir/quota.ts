/** The file `maildirsize` of a Maildir++ (Courier's description of the format): what may be in the Maildir, then what
 *  was put into it and taken out of it.
 *
 *      2147483648S,100000C      the limit: bytes (S, or a size as 50M), messages (C), either alone; nothing or 0 is no limit
 *      1048576 12               bytes and messages when they were counted
 *      4711 1                   and what has come and gone since
 *      -4711 -1
 *
 *  Knows:  the form, which folders count, when the sum must not be trusted any more. Never: files or the time. */
import type { ByteString } from '../../base/byte-string.ts'
import { parseBytes, parseCount } from '../qmail/quantity.ts'
import { writtenLines } from '../qmail/written-text.ts'

/** Of a Maildir; undefined: no such limit. */
export interface QuotaLimit {
  readonly bytes: number | undefined
  readonly messages: number | undefined
}

export interface Usage {
  readonly bytes: number
  readonly messages: number
}

export interface Maildirsize {
  readonly limit: QuotaLimit
  readonly used: Usage
  /** False in a file written by hand, with a limit alone. */
  readonly isCounted: boolean
  /** Nothing has been added since the whole was counted. */
  readonly isFresh: boolean
}

/** A file that has grown over this is counted anew. */
export const maildirsizeBytesMax = 5120
/** A sum over the limit is believed for so long after it was counted. */
export const believedMilliseconds: number = 15 * 60_000

/** Undefined if the first line is no limit: then there is none. Lines that are cut or malformed count nothing. */
export function parseMaildirsize(text: ByteString): Maildirsize | undefined {
  const [first = '', ...rest] = writtenLines(text)
  const limit = parseLimit(first)
  if (limit === undefined) return undefined
  let bytes = 0
  let messages = 0
  let lines = 0
  for (const line of rest) {
    const found = /^ *(-?[0-9]{1,15}) +(-?[0-9]{1,15})$/.exec(line)
    if (found === null) continue
    bytes += Number(found[1])
    messages += Number(found[2])
    lines++
  }
  const used = { bytes: Math.max(0, bytes), messages: Math.max(0, messages) }
  return { limit, used, isCounted: lines > 0, isFresh: lines === 1 }
}

/** Undefined if the line says no limit at all. */
export function parseLimit(line: ByteString): QuotaLimit | undefined {
  let bytes: number | undefined
  let messages: number | undefined
  for (const part of line.trim().split(',')) {
    const value = part.endsWith('C') ? parseCount(part.slice(0, -1)) : parseBytes(part.replace(/S$/, ''))
    // A number alone may be either.
    if (value === undefined || /^[0-9]+$/.test(part)) return undefined
    if (value === 0) continue
    if (part.endsWith('C')) messages = value
    else bytes = value
  }
  return bytes === undefined && messages === undefined ? undefined : { bytes, messages }
}

/** The file as it is after a count. */
export function formatMaildirsize({ bytes, messages }: QuotaLimit, used: Usage): ByteString {
  const parts = [bytes === undefined ? '' : `${bytes}S`, messages === undefined ? '' : `${messages}C`]
  return `${parts.filter((part) => part !== '').join(',')}\n${formatChange(used)}`
}

/** A line for what has come, or, with negative numbers, gone. */
export function formatChange({ bytes, messages }: Usage): ByteString {
  return `${bytes} ${messages}\n`
}

/** With something more in it, would it be over its limit? */
export function isOver(limit: QuotaLimit, used: Usage, more: Usage): boolean {
  const tooLarge = limit.bytes !== undefined && used.bytes + more.bytes > limit.bytes
  return tooLarge || (limit.messages !== undefined && used.messages + more.messages > limit.messages)
}

/** Nothing more fits: not even a message of one byte. */
export function isFull({ limit, used }: Maildirsize): boolean {
  return isOver(limit, used, { bytes: 1, messages: 1 })
}

/** Whether an entry of the Maildir is a folder whose messages count; those in the trash do not. */
export function isCountedFolder(name: ByteString): boolean {
  return name.startsWith('.') && name !== '.' && name !== '..' && name !== '.Trash'
}
