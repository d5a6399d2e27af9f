/** Address lists as they are written: one form for all, folded at 78 columns (RFC 5322 §2.1.1), commas before folds. */
import type { ByteString } from '../../base/byte-string.ts'
import type { ListItem, Mailbox } from './address-list.ts'
import { isAtom, quoteComment, quoteString } from './tokens.ts'

const lineColumnsMax = 78

/** A whole field with its line end. */
export function printAddressField(name: ByteString, items: readonly ListItem[]): ByteString {
  const lines = new Lines(`${name}:`)
  for (const [at, item] of items.entries()) {
    const next = items[at + 1]
    const comma = next !== undefined && next.kind !== 'group-end' && item.kind !== 'group' ? ',' : ''
    const pieces = piecesOf(item)
    pieces.push(`${pieces.pop() ?? ''}${comma}`)
    // The end of a group belongs to the line of its last member.
    if (item.kind === 'group-end' && items[at - 1]?.kind !== 'group') lines.glue(pieces)
    else lines.add(pieces)
  }
  return lines.finish()
}

/** As it stands in a header, without angle brackets. */
export function printAddress({ local, domain }: Pick<Mailbox, 'local' | 'domain'>): ByteString {
  return domain === '' ? printLocal(local) : `${printLocal(local)}@${printDomain(domain)}`
}

function piecesOf(item: ListItem): ByteString[] {
  const comments = item.comments.map(quoteComment)
  switch (item.kind) {
    case 'group': {
      const words = [...item.phrase, ...comments]
      words.push(`${words.pop() ?? ''}:`)
      return words
    }
    case 'group-end':
      return [';', ...comments]
    case 'mailbox': {
      const isEmpty = item.local === '' && item.domain === ''
      const address = isEmpty ? '' : printAddress(item)
      if (item.phrase.length === 0 && !isEmpty) return [address, ...comments]
      return [...item.phrase, `<${address}>`, ...comments]
    }
  }
}

function printLocal(local: ByteString): ByteString {
  return local.split('.').every(isAtom) ? local : quoteString(local)
}

function printDomain(domain: ByteString): ByteString {
  if (/^\[[^[\]\\]*\]$/.test(domain)) return domain
  return domain
    .split('.')
    .map((label) => (label === '' || isAtom(label) ? label : quoteString(label)))
    .join('.')
}

class Lines {
  private readonly done: ByteString[] = []
  private readonly beginning: ByteString
  private line: ByteString

  constructor(beginning: ByteString) {
    this.beginning = beginning
    this.line = beginning
  }

  /** An item: on this line, or on one of its own, or cut where a blank may be. */
  add(pieces: readonly ByteString[]): void {
    const columns = pieces.reduce((sum, piece) => sum + 1 + piece.length, 0)
    if (this.line.length + columns > lineColumnsMax && !this.isFresh) this.fold()
    for (const piece of pieces) {
      if (this.line.length + 1 + piece.length > lineColumnsMax && !this.isFresh) this.fold()
      this.write(this.line === foldedBeginning ? piece : ` ${piece}`)
    }
  }

  /** Without a blank before the first piece. */
  glue([first = '', ...more]: readonly ByteString[]): void {
    this.line += first
    if (more.length > 0) this.add(more)
  }

  finish(): ByteString {
    this.done.push(`${this.line}\n`)
    return this.done.join('')
  }

  /** Nothing is on the line yet that a fold could come after. */
  private get isFresh(): boolean {
    return this.line === foldedBeginning || this.line === this.beginning
  }

  private fold(): void {
    this.done.push(`${this.line}\n`)
    this.line = foldedBeginning
  }

  /** A blank inside of a long quoted string or comment is a place to fold, too. */
  private write(piece: ByteString): void {
    let rest = piece
    while (this.line.length + rest.length > lineColumnsMax) {
      const cut = blankBefore(rest, lineColumnsMax - this.line.length)
      if (cut <= 0) break
      this.done.push(`${this.line}${rest.slice(0, cut)}\n`)
      this.line = ''
      rest = rest.slice(cut)
    }
    this.line += rest
  }
}

const foldedBeginning = '  '

/** Where the last run of blanks that begins within `columns` begins, or else the next one; 0 or less: nowhere. No line
 *  may be of blanks alone (RFC 5322 §3.2.2). */
function blankBefore(text: ByteString, columns: number): number {
  const last = text.lastIndexOf(' ', columns)
  const at = last > 0 ? last : text.indexOf(' ', Math.max(1, columns))
  return at > 0 && text.charAt(at - 1) !== '\\' && /\S/.test(text.slice(0, at)) ? at : -1
}
