/** What qmail-inject makes of a header: who gets the message, who sent it, and which fields it goes out with
 *  (qmail-inject(8), qmail-header(5)).
 *  Never:  reads an environment or a clock; programs/qmail/inject.ts does.
 *  Fails:  a recipient field that cannot be read to its beginning stays as it is, and gives the recipients to the right of
 *          the fault: it is read from right to left. Where something is not closed, there are none. In any other field it is
 *          an error. */
import type { ByteString } from '../../base/byte-string.ts'
import { quoteLocalPart } from '../qmail/quote.ts'
import type { Field } from '../rfc822/header.ts'
import { mapAddresses } from './address-list.ts'
import { type InjectHosts, rewriteTokens } from './rewrite.ts'
import { addressText, parseTokens, printTokens, special, type Token } from './tokens.ts'

const columnsMax = 80

/** The letters of QMAILINJECT that concern the header. */
export interface HeaderChoices {
  readonly ignoresReturnPath: boolean
  readonly dropsFrom: boolean
  readonly dropsMessageId: boolean
}

export interface InjectedHeader {
  /** By the header. Of To, Cc, Bcc and Apparently-To; of Resent-To, Resent-Cc and Resent-Bcc if it is sent again. */
  readonly recipients: readonly ByteString[]
  /** Of the first Return-Path, its last address. */
  readonly returnPath: ByteString | undefined
  /** Some field says that it is sent again: what is missing gets `Resent-` in front. */
  readonly isResent: boolean
  readonly has: (name: string) => boolean
  /** The addresses in To and Cc, which readers could answer to. */
  readonly shown: readonly ByteString[]
  readonly kept: readonly ByteString[]
}

type Use = 'to' | 'resent to' | 'return path' | 'rewrite'

const uses: ReadonlyMap<ByteString, Use> = new Map([
  ...['to', 'cc', 'bcc', 'apparently-to'].map((name) => [name, 'to'] as const),
  ...['resent-to', 'resent-cc', 'resent-bcc'].map((name) => [name, 'resent to'] as const),
  ['return-path', 'return path'] as const,
  ...['sender', 'from', 'reply-to', 'return-receipt-to', 'errors-to'].map((name) => [name, 'rewrite'] as const),
  ...['resent-sender', 'resent-from', 'resent-reply-to'].map((name) => [name, 'rewrite'] as const),
])
const droppedFields: ReadonlySet<ByteString> = new Set(['bcc', 'resent-bcc', 'return-path', 'content-length'])
const resentFields: ReadonlySet<ByteString> = new Set(
  ['sender', 'from', 'reply-to', 'to', 'cc', 'bcc', 'date', 'message-id'].map((name) => `resent-${name}`),
)
const shownFields: ReadonlySet<ByteString> = new Set(['to', 'cc'])

/** Throws UnreadableField. */
export function injectHeader(fields: readonly Field[], hosts: InjectHosts, choices: HeaderChoices): InjectedHeader {
  const names = new Set<ByteString>()
  const recipients = { to: [] as ByteString[], 'resent to': [] as ByteString[] }
  const returnPaths: ByteString[] = []
  const shown: ByteString[] = []
  const kept: ByteString[] = []
  for (const field of fields) {
    const { name } = field
    if ((name === 'from' && choices.dropsFrom) || (name === 'message-id' && choices.dropsMessageId)) continue
    if (name === 'return-path' && choices.ignoresReturnPath) continue
    names.add(name)
    const use = uses.get(name)
    const { text, addresses } = use === undefined ? { text: field.raw, addresses: [] } : rewriteField(field.raw, hosts)
    if (text === undefined && use !== 'to' && use !== 'resent to') throw new UnreadableField(field.raw)
    if (use === 'to' || use === 'resent to') recipients[use].push(...addresses)
    if (use === 'return path') returnPaths.push(...addresses)
    if (shownFields.has(name)) shown.push(...addresses)
    if (!droppedFields.has(name)) kept.push(text ?? field.raw)
  }
  const isResent = [...names].some((name) => resentFields.has(name))
  return {
    recipients: recipients[isResent ? 'resent to' : 'to'],
    returnPath: returnPaths[0],
    isResent,
    has: (name) => names.has(name),
    shown,
    kept,
  }
}

export class UnreadableField extends Error {
  override name = 'UnreadableField'
  readonly field: ByteString

  constructor(field: ByteString) {
    super('a field of the header cannot be read')
    this.field = field
  }
}

/** Addresses in qmail's order: from right to left. `text` is undefined where it cannot be read to its beginning. */
function rewriteField(
  raw: ByteString,
  hosts: InjectHosts,
): { readonly text: ByteString | undefined; readonly addresses: readonly ByteString[] } {
  const addresses: ByteString[] = []
  const tokens = parseTokens(raw)
  const mapped =
    tokens &&
    mapAddresses(tokens, (address) => {
      const rewritten = rewriteTokens(address, hosts)
      addresses.push(addressText(rewritten))
      return rewritten
    })
  return { text: mapped && printTokens(mapped, columnsMax), addresses }
}

/** What stands in From of a message that has none. */
export interface Author {
  readonly user: ByteString
  /** Undefined: the default one. */
  readonly host: ByteString | undefined
  readonly name: ByteString | undefined
  /** `address (Name)`, as people wrote it before RFC 822. */
  readonly nameInComment: boolean
}

export interface Missing {
  /** As a header has it. */
  readonly date: ByteString
  /** With its angle brackets. */
  readonly messageId: ByteString
  /** The value of the field. */
  readonly author: ByteString
  /** Mail-Followup-To, if it shall be said; the addresses. */
  readonly followUp: readonly ByteString[] | undefined
}

/** The whole header but its empty line. */
export function printHeader({ has, isResent, kept }: InjectedHeader, missing: Missing): ByteString {
  const prefix = isResent ? 'Resent-' : ''
  const lacks = (name: string): boolean => !has(`${prefix}${name}`.toLowerCase())
  const parts: ByteString[] = []
  if (lacks('Date')) parts.push(`${prefix}Date: ${missing.date}\n`)
  if (lacks('Message-ID')) parts.push(`${prefix}Message-ID: ${missing.messageId}\n`)
  if (lacks('From')) parts.push(`${prefix}From: ${missing.author}\n`)
  if (lacks('To') && lacks('Cc')) parts.push(`${prefix}Cc: recipient list not shown: ;\n`)
  if (!isResent && missing.followUp !== undefined && lacks('Mail-Followup-To'))
    parts.push(`Mail-Followup-To: ${missing.followUp.join(',\n  ')}\n`)
  return parts.join('') + kept.join('')
}

/** The value of From. Throws UnreadableField. */
export function printAuthor({ user, host, name, nameInComment }: Author, hosts: InjectHosts): ByteString {
  const word: Token = { kind: quoteLocalPart(user) === user ? 'atom' : 'quoted', text: user }
  const address = [word, ...hostTokens(host)]
  const tokens = name === undefined ? address : named(address, name, nameInComment)
  return writtenField('From', tokens, hosts).text.slice('From: '.length, -1)
}

function named(address: readonly Token[], name: ByteString, nameInComment: boolean): readonly Token[] {
  if (nameInComment) return [...address, { kind: 'comment', text: name }]
  return [{ kind: 'quoted', text: name }, special('<'), ...address, special('>')]
}

/** The envelope's form of the same. Throws UnreadableField. */
export function authorAddress(user: ByteString, host: ByteString | undefined, hosts: InjectHosts): ByteString {
  const tokens: Token[] = [{ kind: 'quoted', text: user }, ...hostTokens(host)]
  return writtenField('Return-Path', tokens, hosts).addresses[0] ?? ''
}

/** Without a host the default one is put there. */
function hostTokens(host: ByteString | undefined): Token[] {
  return host === undefined ? [] : [special('@'), { kind: 'atom', text: host }]
}

/** Printed, and read again as if a user had written it: what is no host becomes what a reader makes of it. */
function writtenField(
  name: string,
  value: readonly Token[],
  hosts: InjectHosts,
): { readonly text: ByteString; readonly addresses: readonly ByteString[] } {
  const written = printTokens([{ kind: 'atom', text: name }, special(':'), ...value], columnsMax)
  const { text, addresses } = rewriteField(written, hosts)
  if (text === undefined) throw new UnreadableField(written)
  return { text, addresses }
}
