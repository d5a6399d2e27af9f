/** Where the addresses of a header field are (RFC 5322 §3.4, with what §4.4 and habit add): groups, routes, comments
 *  anywhere, missing commas.
 *  Knows:  which words are an address and where its host stands or should stand. Display names are not kept.
 *  Never:  takes a name for an address: of several words in a row only those with `@` are one. */
import type { ByteString } from '../../base/byte-string.ts'
import { type Token, tokensOf } from './tokens.ts'

export interface Address {
  /** Without quoting: an `@` in it does not begin a domain. */
  readonly local: ByteString
  /** Without `@`; empty if there is none. A literal has its brackets. */
  readonly domain: ByteString
  /** Where in the value the domain stands, or should stand. */
  readonly from: number
  readonly to: number
  /** `@` stands before it. */
  readonly hasAt: boolean
}

export interface AddressList {
  readonly addresses: readonly Address[]
  /** Where an address is missing between `<` and `>`. */
  readonly gaps: readonly number[]
}

/** Undefined: readers differ about what stands where. */
export function parseAddressList(value: ByteString): AddressList | undefined {
  const tokens = tokensOf(value)
  if (tokens === undefined) return undefined
  const reader = new ListReader()
  for (const token of tokens) if (token.kind !== 'comment' && !reader.take(token)) return undefined
  return reader.finish()
}

class ListReader {
  private readonly addresses: Address[] = []
  private readonly gaps: number[] = []
  /** Since the last separator, outside of angle brackets. */
  private words: Token[] = []
  /** Inside of them, and where they were opened. */
  private angle: { readonly tokens: Token[]; readonly from: number } | undefined
  /** The item has its address: what follows is a remark. */
  private isFull = false

  /** False if brackets are wrong. */
  take(token: Token): boolean {
    const { angle } = this
    if (angle !== undefined) {
      if (token.kind === '<') return false
      if (token.kind === '>') this.closeAngle(angle.tokens, angle.from)
      else angle.tokens.push(token)
      return true
    }
    if (token.kind === '<') {
      this.angle = { tokens: [], from: token.to }
      this.words = []
    } else if (token.kind === ':') {
      // The name of a group.
      this.words = []
      this.isFull = false
    } else if (token.kind === ',' || token.kind === ';') this.endItem()
    else this.words.push(token)
    return token.kind !== '>'
  }

  finish(): AddressList | undefined {
    if (this.angle !== undefined) return undefined
    this.endItem()
    return { addresses: this.addresses, gaps: this.gaps }
  }

  private closeAngle(tokens: readonly Token[], from: number): void {
    this.angle = undefined
    this.isFull = true
    if (tokens.length === 0) {
      this.gaps.push(from)
      return
    }
    const words = withoutRoute(tokens)
    const has = (...kinds: string[]): boolean => words.some(({ kind }) => kinds.includes(kind))
    // <Undisclosed-Recipient:;>, <mailto:joe@x>, <Joe Public>
    if (!has(',', ';', ':') && (has('@') || runsOf(words).length === 1)) this.add(words)
  }

  private endItem(): void {
    const runs = this.isFull ? [] : runsOf(this.words)
    const isSingle = runs.length === 1
    // Without `@` a word may be an account; what is in quotes is a name.
    for (const run of runs)
      if (run.some(({ kind }) => kind === '@') || (isSingle && run.every(({ kind }) => kind !== 'quoted')))
        this.add(run)
    this.words = []
    this.isFull = false
  }

  private add(run: readonly Token[]): void {
    const address = addressOf(run)
    if (address !== undefined) this.addresses.push(address)
  }
}

/** RFC 5322 §4.4: `@one,@two:joe@host`. */
function withoutRoute(tokens: readonly Token[]): readonly Token[] {
  if (tokens[0]?.kind !== '@') return tokens
  return tokens.slice(tokens.findIndex(({ kind }) => kind === ':') + 1)
}

/** Blanks around dots and `@` mean nothing (RFC 5322 §4.4); between words they part them. */
function runsOf(tokens: readonly Token[]): Token[][] {
  const runs: Token[][] = []
  let before: Token | undefined
  for (const token of tokens) {
    const last = runs.at(-1)
    if (last === undefined || (token.spaced && isWord(token) && before !== undefined && isWord(before)))
      runs.push([token])
    else last.push(token)
    before = token
  }
  return runs
}

function isWord({ kind }: Token): boolean {
  return kind !== '.' && kind !== '@'
}

/** The domain is what follows the last `@` that is not quoted. */
function addressOf(run: readonly Token[]): Address | undefined {
  const at = run.findLastIndex(({ kind }) => kind === '@')
  const last = run.at(-1)
  if (last === undefined) return undefined
  if (at < 0) {
    const isName = run.every(({ kind }) => kind === 'atom' || kind === 'quoted' || kind === '.')
    if (!isName || run[0]?.kind === '.' || last.kind === '.' || run.some(isTorn)) return undefined
    return { local: textOf(run), domain: '', from: last.to, to: last.to, hasAt: false }
  }
  const [sign, domain] = [run[at], run.slice(at + 1)]
  if (at === 0 || sign === undefined || runsOf(domain).length > 1) return undefined
  return {
    local: textOf(run.slice(0, at)),
    domain: textOf(domain),
    from: domain[0]?.from ?? sign.to,
    to: last.to,
    hasAt: true,
  }
}

/** A piece of an encoded word that was written with blanks in it. */
function isTorn({ kind, text }: Token): boolean {
  return kind === 'atom' && (text.startsWith('=?') || text.endsWith('?='))
}

/** As qmail has it, `<joe public@x>` is one address. */
function textOf(tokens: readonly Token[]): ByteString {
  return runsOf(tokens)
    .map((run) => run.map(({ text }) => text).join(''))
    .join(' ')
}
