/** Completes the header that a mail program wrote: hosts of addresses are completed where they stand, and missing fields are
 *  added. All else keeps its bytes, so that a signature of the mail program's own holds.
 *  Knows:  which field is what. Never: whether the author is genuine; see `authors`.
 *  Fails:  never: a field in which readers differ about where the addresses are stays as it is. */
import type { ByteString } from '../../base/byte-string.ts'
import { type AddressList, parseAddressList } from '../rfc822/address-list.ts'
import type { Field } from '../rfc822/header.ts'
import { printAddress, printMailbox } from '../rfc822/print-address.ts'
import { everyReading } from '../rfc822/readings.ts'
import { completeHeader, type MissingFields } from './complete-header.ts'
import { type Instruction, rewriteHost } from './rewriting.ts'
import type { SenderRule } from './sender-rules.ts'

export interface CleaningFacts extends Omit<MissingFields, 'author'> {
  readonly rewriting: readonly Instruction[]
  /** Put into From if the message has none. As an envelope has it. */
  readonly sender: ByteString
  /** Replaces From, whatever it names. */
  readonly author: SenderRule | undefined
}

export interface CleanHeader {
  /** Without the empty line at its end. */
  readonly text: ByteString
  /** Every address that a reader could take for the author's or sender's, as envelopes have them: From, Sender and
   *  their Resent forms. */
  readonly authors: readonly ByteString[]
}

const completedFields: ReadonlySet<ByteString> = new Set([
  'from',
  'sender',
  'reply-to',
  'mail-reply-to',
  'mail-followup-to',
  'to',
  'cc',
  'notice-requested-upon-delivery-to',
])
/** The trace stays as it came, even where it is not complete. */
const resentAuthorFields: ReadonlySet<ByteString> = new Set(['resent-from', 'resent-sender'])

export function cleanHeader(fields: readonly Field[], facts: CleaningFacts): CleanHeader {
  const kept: Field[] = []
  const authors: ByteString[] = []
  for (const field of fields) {
    if (field.name === 'from' && facts.author !== undefined) continue
    const complete = isList(field) ? completed(field, facts) : field
    if (isAuthor(field)) {
      const readings = everyReading(complete.value)
      // A From that names no address is as good as none.
      if (field.name === 'from' && readings.length === 0) continue
      for (const address of readings) authors.push(address)
    }
    kept.push(resentAuthorFields.has(field.name) ? field : complete)
  }
  const author = facts.author ?? { name: '', address: facts.sender }
  if (!kept.some(({ name }) => name === 'from')) authors.push(author.address)
  const text = completeHeader(kept, { ...facts, author: printMailbox(author.name, author.address) })
  return { text, authors }
}

/** Bytes that have to be read as addresses: reading costs more than copying, so callers set a limit. */
export function addressBytes(fields: readonly Field[]): number {
  let bytes = 0
  for (const field of fields) if (isList(field)) bytes += field.raw.length
  return bytes
}

function isList({ name }: Field): boolean {
  return completedFields.has(name) || resentAuthorFields.has(name)
}

function isAuthor({ name }: Field): boolean {
  return name === 'from' || name === 'sender' || resentAuthorFields.has(name)
}

function completed(field: Field, { rewriting, sender }: CleaningFacts): Field {
  const list = parseAddressList(field.value)
  if (list === undefined) return field
  const edits = hostEdits(list, rewriting)
  const [gap] = list.gaps
  // From: Joe <>
  if (field.name === 'from' && list.addresses.length === 0 && gap !== undefined)
    edits.push({ from: gap, to: gap, text: printAddress(sender) })
  if (edits.length === 0) return field
  const value = edited(field.value, edits)
  return { name: field.name, raw: `${field.raw.slice(0, -field.value.length - 1)}${value}\n`, value }
}

interface Edit {
  readonly from: number
  readonly to: number
  readonly text: ByteString
}

function hostEdits({ addresses }: AddressList, rewriting: readonly Instruction[]): Edit[] {
  const edits: Edit[] = []
  for (const { domain, from, to, hasAt } of addresses) {
    const host = rewriteHost(domain, rewriting)
    if (host !== domain) edits.push({ from, to, text: hasAt ? host : `@${host}` })
  }
  return edits
}

/** `edits` in order. */
function edited(value: ByteString, edits: readonly Edit[]): ByteString {
  const parts: ByteString[] = []
  let at = 0
  for (const { from, to, text } of edits) {
    parts.push(value.slice(at, from), text)
    at = to
  }
  parts.push(value.slice(at))
  return parts.join('')
}
