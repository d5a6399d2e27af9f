/** The header of every message that enters the system here: fields that are missing are put on top, fields that must not
 *  travel are dropped, and all else stays as it is and where it is. */
import type { ByteString } from '../../base/byte-string.ts'
import { headerDate } from '../qmail/date.ts'
import type { Field } from '../rfc822/header.ts'

/** Resent-Bcc is a Bcc, which ofmipd forgot. */
const droppedFields: ReadonlySet<ByteString> = new Set([
  'bcc',
  'resent-bcc',
  'return-path',
  'apparently-to',
  'content-length',
])
/** An empty one of them is as good as none (RFC 5322 §3.6). */
const filledFields: ReadonlySet<ByteString> = new Set(['date', 'message-id', 'from'])

export interface MissingFields {
  readonly milliseconds: number
  /** With its angle brackets. */
  readonly messageId: ByteString
  /** As it stands in From. */
  readonly author: ByteString
}

/** Whole fields, without the empty line at the end. */
export function completeHeader(fields: readonly Field[], missing: MissingFields): ByteString {
  const kept = fields.filter(
    ({ name, value }) => !droppedFields.has(name) && (!filledFields.has(name) || /\S/.test(value)),
  )
  const has = (...names: string[]): boolean => kept.some(({ name }) => names.includes(name))
  const parts: ByteString[] = []
  if (!has('date')) parts.push(`Date: ${headerDate(missing.milliseconds)}\n`)
  if (!has('message-id')) parts.push(`Message-ID: ${missing.messageId}\n`)
  if (!has('from')) parts.push(`From: ${missing.author}\n`)
  if (!has('to', 'cc')) parts.push('Cc: recipient list not shown: ;\n')
  for (const { raw } of kept) parts.push(raw)
  return parts.join('')
}

/** As qmail's programs make them; `numbers` tell it from others of that second. */
export function makeMessageId(milliseconds: number, numbers: readonly number[], idhost: ByteString): ByteString {
  const stamp = new Date(milliseconds).toISOString().replace(/\D/g, '').slice(0, 14)
  return `<${stamp}.${numbers.join('.')}.qmail@${idhost}>`
}
