/** Address lists of header fields (RFC 5322 §3.4, with what §4.4 and habit add): groups, routes, comments anywhere,
 *  dots in phrases, missing commas, unclosed brackets. Whatever is read can be printed and read again as the same.
 *  Knows:  which words are a name and which an address. Never: changes an address: rewriting hosts is the caller's.
 *  Fails:  never; work grows with the length of the field, not with its nesting. */
import type { ByteString } from '../../base/byte-string.ts'
import { isAtom, isEncodedWord, quoteString, type Special, type Token, tokensOf } from './tokens.ts'

export interface Mailbox {
  readonly kind: 'mailbox'
  /** The words of the display name as they are printed, quoted where they must be. */
  readonly phrase: readonly ByteString[]
  /** Without quoting: an `@` in it does not begin a domain. */
  readonly local: ByteString
  /** Without `@`; empty if there is none. A literal has its brackets. */
  readonly domain: ByteString
  readonly comments: readonly ByteString[]
}

export type ListItem =
  | Mailbox
  | { readonly kind: 'group'; readonly phrase: readonly ByteString[]; readonly comments: readonly ByteString[] }
  | { readonly kind: 'group-end'; readonly comments: readonly ByteString[] }

export function parseAddressList(value: ByteString): ListItem[] {
  const reader = new ListReader()
  for (const token of tokensOf(value)) reader.take(token)
  return reader.finish()
}

export function mailboxesOf(items: readonly ListItem[]): Mailbox[] {
  return items.filter((item) => item.kind === 'mailbox')
}

/** A word, a literal, or one of `.` and `@`. */
interface Part {
  readonly text: ByteString
  readonly kind: 'word' | 'literal' | 'dot' | 'at'
  readonly quoted: boolean
  readonly spaced: boolean
}

/** What is being written: comments come in while the list is read. */
interface Growing {
  readonly item: ListItem
  readonly comments: ByteString[]
}

class ListReader {
  private readonly items: Growing[] = []
  /** Since the last separator. */
  private parts: Part[] = []
  private comments: ByteString[] = []
  /** Inside `<`: the display name, and what of the address stood before a colon. */
  private angle: { readonly phrase: ByteString[]; isRoute: boolean } | undefined
  private inGroup = false
  /** A comma, a colon, or the beginning was the last thing seen. */
  private separated = true

  take(token: Token): void {
    switch (token.kind) {
      case 'comment':
        this.comment(token.text)
        break
      case 'word':
      case 'literal':
        this.part({ ...token, quoted: token.kind === 'word' && token.quoted })
        break
      case 'special':
        this.special(token.text, token.spaced)
        break
    }
  }

  finish(): ListItem[] {
    this.separate()
    if (this.inGroup) this.add({ kind: 'group-end', comments: [] })
    this.giveComments()
    return this.items.map(({ item, comments }) => ({ ...item, comments }))
  }

  /** Behind a complete address it belongs to that, otherwise to what comes. */
  private comment(text: ByteString): void {
    if (this.parts.length === 0 && this.angle === undefined && this.comments.length === 0) {
      const last = this.items.at(-1)
      if (last !== undefined && !this.separated) {
        last.comments.push(text)
        return
      }
    }
    this.comments.push(text)
  }

  private part(part: Part): void {
    const { parts } = this
    // An address, and then a word: somebody forgot the comma.
    if (this.angle === undefined && isWordy(part) && part.spaced && endsInAddress(parts)) this.flush()
    this.separated = false
    this.parts.push(part)
  }

  private special(text: Special, spaced: boolean): void {
    switch (text) {
      case '.':
      case '@':
        this.part({ text, kind: text === '.' ? 'dot' : 'at', quoted: false, spaced })
        if (text === '@' && this.angle !== undefined && this.parts.length === 1) this.angle.isRoute = true
        break
      case '<':
        if (this.angle !== undefined) break
        this.angle = { phrase: phraseOf(this.parts), isRoute: false }
        this.parts = []
        this.separated = false
        break
      case '>':
        if (this.angle !== undefined) this.closeAngle(this.angle)
        break
      case ',':
        if (this.angle?.isRoute === true) this.part({ text, kind: 'word', quoted: false, spaced })
        else this.separate()
        break
      case ':':
        this.colon()
        break
      case ';':
        this.separate()
        if (this.inGroup) this.add({ kind: 'group-end', comments: [] })
        this.inGroup = false
        break
    }
  }

  private colon(): void {
    if (this.angle !== undefined) {
      // A route, or a scheme: of no use to anybody, and kept where it does no harm.
      if (this.parts.length > 0) this.comments.push(textOf(this.parts))
      this.angle.isRoute = false
      this.parts = []
      return
    }
    if (this.parts.length === 0) return
    // Groups have no groups in them: the name of an inner one is only a remark.
    if (this.inGroup) this.comments.push(textOf(this.parts))
    else this.add({ kind: 'group', phrase: phraseOf(this.parts), comments: [] })
    this.inGroup = true
    this.parts = []
    this.separated = true
  }

  private separate(): void {
    if (this.angle === undefined) this.flush()
    else this.closeAngle(this.angle)
    this.giveComments()
    this.separated = true
  }

  private closeAngle({ phrase }: { readonly phrase: readonly ByteString[] }): void {
    this.angle = undefined
    this.add({ kind: 'mailbox', phrase, ...addressOf(this.parts), comments: [] })
    this.parts = []
  }

  /** Every address that stands among the parts, with a comma in mind where a word follows a word. */
  private flush(): void {
    let from = 0
    const { parts } = this
    this.parts = []
    for (let at = 1; at <= parts.length; at++) {
      if (at < parts.length && !beginsAnew(parts, at)) continue
      this.add({ kind: 'mailbox', phrase: [], ...addressOf(parts.slice(from, at)), comments: [] })
      from = at
    }
  }

  private add(item: ListItem): void {
    this.items.push({ item, comments: this.comments })
    this.comments = []
    this.separated = false
  }

  /** Comments between separators belong to the last that there is; without one they are nobody's. */
  private giveComments(): void {
    const last = this.items.at(-1)
    for (const text of this.comments) last?.comments.push(text)
    this.comments = []
  }
}

function isWordy({ kind }: Part): boolean {
  return kind === 'word' || kind === 'literal'
}

/** True if the part at `at` is not connected with the one before it. */
function beginsAnew(parts: readonly Part[], at: number): boolean {
  const [before, part] = [parts[at - 1], parts[at]]
  return before !== undefined && part !== undefined && isWordy(before) && isWordy(part) && part.spaced
}

/** True if the last of the parts ends an address with a domain. */
function endsInAddress(parts: readonly Part[]): boolean {
  const last = parts.at(-1)
  if (last === undefined || !isWordy(last)) return false
  for (let at = parts.length - 1; at >= 0; at--) {
    if (parts[at]?.kind === 'at') return true
    if (beginsAnew(parts, at)) return false
  }
  return false
}

/** The domain is what follows the last `@` that is not quoted. */
function addressOf(parts: readonly Part[]): { readonly local: ByteString; readonly domain: ByteString } {
  let at = parts.length - 1
  while (at >= 0 && parts[at]?.kind !== 'at') at--
  if (at < 0) return { local: textOf(parts), domain: '' }
  return { local: textOf(parts.slice(0, at)), domain: textOf(parts.slice(at + 1)) }
}

/** Blanks around dots and `@` mean nothing (RFC 5322 §4.4), between words they do. */
function textOf(parts: readonly Part[]): ByteString {
  let text = ''
  for (const [at, part] of parts.entries()) text += (beginsAnew(parts, at) ? ' ' : '') + part.text
  return text
}

interface Run {
  text: ByteString
  /** Of one part only, and that is a word. */
  isWord: boolean
  readonly quoted: boolean
  readonly encoded: boolean
}

/** Each run of parts without blanks is one word; those that are no atom are quoted: all together, unless there are
 *  encoded words, which mean nothing in quotes (RFC 2047 §5). */
function phraseOf(parts: readonly Part[]): ByteString[] {
  const runs: Run[] = []
  for (const { text, kind, quoted, spaced } of parts) {
    const encoded = kind === 'word' && !quoted && isEncodedWord(text)
    const last = runs.at(-1)
    if (last === undefined || spaced || encoded || last.encoded) {
      runs.push({ text, isWord: kind === 'word', quoted, encoded })
    } else {
      last.text += text
      last.isWord = false
    }
  }
  const isPrintable = ({ text, isWord, quoted, encoded }: Run): boolean => isWord && (quoted || encoded || isAtom(text))
  if (runs.every(isPrintable) || runs.some(({ encoded }) => encoded))
    return runs.map((run) => (isPrintable(run) && !run.quoted ? run.text : quoteString(run.text)))
  return [quoteString(runs.map(({ text }) => text).join(' '))]
}
