/** Where the addresses of a field are, as qmail-inject finds them: from right to left.
 *  Knows:  groups, `phrase <address>`, comments, words without a comma between.
 *  Fails:  undefined where brackets or groups are wrong. */
import { special, type Token } from './tokens.ts'

/** What becomes of one address; called from right to left, the tokens are from left to right. */
export type EachAddress = (address: readonly Token[]) => readonly Token[]

/** Name and colon stay in front. */
export function mapAddresses(tokens: readonly Token[], each: EachAddress): Token[] | undefined {
  const [name, colon, ...value] = tokens
  if (name === undefined || colon === undefined) return undefined
  const reader = new BackwardReader(value, each)
  const mapped = reader.read()
  return mapped === undefined ? undefined : [name, colon, ...mapped]
}

class BackwardReader {
  private readonly tokens: readonly Token[]
  private readonly each: EachAddress
  /** The last token is the first. */
  private readonly output: Token[] = []
  private address: Token[] = []
  private at: number
  private inGroup = false
  /** A word here belongs to the address that is being read. */
  private joins = true

  constructor(tokens: readonly Token[], each: EachAddress) {
    this.tokens = tokens
    this.each = each
    this.at = tokens.length - 1
  }

  read(): Token[] | undefined {
    for (let token = this.current(); token !== undefined; token = this.current())
      if (!this.take(token)) return undefined
    this.flush()
    return this.output.toReversed()
  }

  private current(): Token | undefined {
    return this.tokens[this.at]
  }

  private take(token: Token): boolean {
    switch (token.kind) {
      case ';':
        this.flushWithComma()
        if (this.inGroup) return false
        this.inGroup = true
        return this.put(token)
      case ':':
        return this.takeGroupName()
      case '>':
        return this.takeAngle(token)
      case 'atom':
      case 'quoted':
      case 'literal':
        if (!this.joins) this.flushWithComma()
        this.joins = false
        this.addressLeft(token)
        return true
      case 'comment':
        // Like a blank: words about it stay as near as they were.
        this.output.push(token)
        this.at--
        return true
      case ',':
        this.flush()
        return this.put(token)
      case '@':
      case '.':
      case '<':
        this.joins = true
        this.addressLeft(token)
        return true
    }
  }

  private takeGroupName(): boolean {
    this.flush()
    if (!this.inGroup) return false
    this.inGroup = false
    for (let token = this.current(); token !== undefined; token = this.current()) {
      this.put(token)
      if (token.kind === ',') break
    }
    this.joins = true
    return true
  }

  private takeAngle(close: Token): boolean {
    this.flushWithComma()
    this.put(close)
    for (let token = this.current(); token !== undefined && token.kind !== '<'; token = this.current())
      this.addressLeft(token)
    // Also where there is none: `<>`.
    this.give()
    const open = this.current()
    if (open === undefined) return false
    this.put(open)
    const isPhrase = ({ kind }: Token): boolean => ['comment', 'atom', 'quoted', '@', '.'].includes(kind)
    for (let token = this.current(); token !== undefined && isPhrase(token); token = this.current()) this.put(token)
    this.joins = false
    return true
  }

  private put(token: Token): true {
    this.output.push(token)
    this.at--
    this.joins = true
    return true
  }

  private addressLeft(token: Token): void {
    this.address.push(token)
    this.at--
  }

  private flush(): void {
    if (this.address.length > 0) this.give()
  }

  private flushWithComma(): void {
    if (this.address.length === 0) return
    this.give()
    this.output.push(special(','))
  }

  private give(): void {
    this.output.push(...this.each(this.address.toReversed()).toReversed())
    this.address = []
  }
}
