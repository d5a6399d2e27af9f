/** What ofmipd makes of the header that a mail program wrote: fields in one order, addresses completed, what must be
 *  there and is not added, what must not travel dropped.
 *  Knows:  which field is what. Never: whether the author is who he says; see `authors`.
 *  Fails:  never: a field that makes no sense is written as what could be read of it. */
import type { ByteString } from '../../base/byte-string.ts'
import { headerDate } from '../qmail/date.ts'
import { type ListItem, type Mailbox, mailboxesOf, parseAddressList } from '../rfc822/address-list.ts'
import { normalDate } from '../rfc822/date.ts'
import type { Field } from '../rfc822/header.ts'
import { printAddressField } from '../rfc822/print-list.ts'
import { isAtom, quoteString } from '../rfc822/tokens.ts'
import { type Instruction, rewriteHost } from './rewriting.ts'
import type { SenderRule } from './sender-rules.ts'

export interface CleaningFacts {
  /** Goes on top: whole fields. */
  readonly received: ByteString
  readonly milliseconds: number
  /** With its angle brackets; used if the message has none. */
  readonly messageId: ByteString
  readonly rewriting: readonly Instruction[]
  /** Stands in From if nobody does. Without quoting. */
  readonly sender: ByteString
  /** Stands in From whoever does. */
  readonly author: SenderRule | undefined
}

export interface CleanHeader {
  /** Without the empty line at its end. */
  readonly text: ByteString
  /** Everybody who is said to have written or sent the message, addresses as rewritten: From, Sender and their Resent
   *  forms. */
  readonly authors: readonly Mailbox[]
}

/** After the trace, in this order. */
const listFields = new Map([
  ['from', 'From'],
  ['sender', 'Sender'],
  ['reply-to', 'Reply-To'],
  ['mail-reply-to', 'Mail-Reply-To'],
  ['mail-followup-to', 'Mail-Followup-To'],
  ['to', 'To'],
  ['cc', 'Cc'],
  ['notice-requested-upon-delivery-to', 'Notice-Requested-Upon-Delivery-To'],
])
const traceFields: ReadonlySet<ByteString> = new Set(['received', 'delivered-to', 'errors-to', 'return-receipt-to'])
/** Resent-Bcc is a Bcc, which ofmipd forgot. */
const droppedFields: ReadonlySet<ByteString> = new Set([
  'bcc',
  'resent-bcc',
  'return-path',
  'apparently-to',
  'content-length',
])
const resentAuthorFields: ReadonlySet<ByteString> = new Set(['resent-from', 'resent-sender'])

const nobodyShown = 'Cc: recipient list not shown: ;\n'

export function cleanHeader(fields: readonly Field[], facts: CleaningFacts): CleanHeader {
  const sorted = new SortedFields(fields, facts.rewriting)
  const { lists, trace, others } = sorted
  const from = authorsOf(lists.get('from') ?? [], facts)
  const authors = [...mailboxesOf(from), ...mailboxesOf(lists.get('sender') ?? []), ...sorted.resentAuthors]
  lists.set('from', from)
  const parts = [facts.received, ...trace]
  parts.push(`Date: ${sorted.date ?? headerDate(facts.milliseconds)}\n`)
  parts.push(`Message-ID:${sorted.messageId ?? ` ${facts.messageId}`}\n`)
  for (const [key, name] of listFields) {
    if (key === 'to' && !lists.has('to') && !lists.has('cc')) parts.push(nobodyShown)
    const items = lists.get(key)
    if (items !== undefined) parts.push(printAddressField(name, items))
  }
  return { text: [...parts, ...others].join(''), authors }
}

/** What has to be read as addresses: reading costs more than copying, so that callers set a limit. */
export function addressBytes(fields: readonly Field[]): number {
  let bytes = 0
  for (const { name, raw } of fields) if (listFields.has(name) || resentAuthorFields.has(name)) bytes += raw.length
  return bytes
}

class SortedFields {
  /** Repeated ones are one; none is empty. */
  readonly lists = new Map<ByteString, ListItem[]>()
  readonly trace: ByteString[] = []
  readonly others: ByteString[] = []
  readonly resentAuthors: Mailbox[] = []
  date: ByteString | undefined
  messageId: ByteString | undefined
  private readonly rewriting: readonly Instruction[]

  constructor(fields: readonly Field[], rewriting: readonly Instruction[]) {
    this.rewriting = rewriting
    for (const field of fields) this.sort(field)
  }

  private sort({ name, raw, value }: Field): void {
    if (droppedFields.has(name)) return
    if (traceFields.has(name) || name.startsWith('resent-')) {
      this.trace.push(raw)
      if (resentAuthorFields.has(name))
        for (const mailbox of mailboxesOf(this.addresses(value))) this.resentAuthors.push(mailbox)
    } else if (name === 'date') this.date = normalDate(value) ?? this.date
    else if (name === 'message-id') this.messageId = /\S/.test(value) ? value : this.messageId
    else if (listFields.has(name)) this.addToList(name, this.addresses(value))
    else this.others.push(raw)
  }

  private addToList(name: ByteString, items: readonly ListItem[]): void {
    const list = this.lists.get(name) ?? []
    for (const item of items) list.push(item)
    if (list.length > 0) this.lists.set(name, list)
  }

  private addresses(value: ByteString): ListItem[] {
    return parseAddressList(value).map((item) => rewritten(item, this.rewriting))
  }
}

function authorsOf(given: readonly ListItem[], { sender, author }: CleaningFacts): ListItem[] {
  if (author !== undefined) return [mailboxOf(author.address, phraseFor(author.name))]
  return mailboxesOf(given).length > 0 ? [...given] : [mailboxOf(sender, [])]
}

function rewritten(item: ListItem, rewriting: readonly Instruction[]): ListItem {
  if (item.kind !== 'mailbox' || (item.local === '' && item.domain === '')) return item
  return { ...item, domain: rewriteHost(item.domain, rewriting) }
}

/** `address` is an envelope's. */
function mailboxOf(address: ByteString, phrase: readonly ByteString[]): Mailbox {
  const at = address.lastIndexOf('@')
  const local = at < 0 ? address : address.slice(0, at)
  return { kind: 'mailbox', phrase, local, domain: at < 0 ? '' : address.slice(at + 1), comments: [] }
}

function phraseFor(name: ByteString): ByteString[] {
  const words = name.split(' ').filter((word) => word !== '')
  return words.every(isAtom) ? words : [quoteString(name)]
}

/** An address of the envelope after rewriting. */
export function rewriteAddress(address: ByteString, rewriting: readonly Instruction[]): ByteString {
  if (address === '') return ''
  const at = address.lastIndexOf('@')
  const host = rewriteHost(at < 0 ? '' : address.slice(at + 1), rewriting)
  return `${at < 0 ? address : address.slice(0, at)}@${host}`
}

/** As qmail's programs make them: `count` is the number of the message in its process. */
export function makeMessageId(milliseconds: number, count: number, pid: number, idhost: ByteString): ByteString {
  const stamp = new Date(milliseconds).toISOString().replace(/\D/g, '').slice(0, 14)
  return `<${stamp}.${count}.${pid}.qmail@${idhost}>`
}
