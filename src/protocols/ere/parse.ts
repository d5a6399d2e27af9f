/** POSIX extended regular expressions (XBD 9.4) over bytes, as a tree. ASCII letters match in either case.
 *  Knows:  . [] [^] [:class:] () | * + ? {m,n} ^ $ and escaped specials; \w \W \s \S as in GNU's library.
 *  Never:  back-references and word boundaries: they are refused, as is everything that POSIX leaves undefined.
 *  Fails:  throws EreError, which says what is wrong and where. */
import type { ByteString } from '../../base/byte-string.ts'
import { addFolded, bracketSet, type ByteSet, classSet, complement, newSet } from './byte-set.ts'

export type Node =
  | { readonly kind: 'empty' | 'begin' | 'end' }
  | { readonly kind: 'set'; readonly set: ByteSet }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly min: number; readonly max: number }

export class EreError extends Error {
  override name = 'EreError'
}

const patternBytesMax = 1000
const nestingMax = 50
/** RE_DUP_MAX of POSIX. */
const repeatMax = 255

export function parseEre(pattern: ByteString): Node {
  if (pattern.length > patternBytesMax) throw new EreError(`${pattern.length} bytes, limit ${patternBytesMax}`)
  const parser = new Parser(pattern)
  const node = parser.choice(0)
  if (!parser.ended) throw new EreError(`unmatched ) at byte ${parser.at + 1}`)
  return node
}

class Parser {
  at = 0
  private readonly pattern: ByteString

  constructor(pattern: ByteString) {
    this.pattern = pattern
  }

  get ended(): boolean {
    return this.at >= this.pattern.length
  }

  choice(depth: number): Node {
    if (depth > nestingMax) throw new EreError(`parentheses nested deeper than ${nestingMax}`)
    const parts = [this.sequence(depth)]
    while (this.take('|')) parts.push(this.sequence(depth))
    return parts.length === 1 ? (parts[0] ?? empty) : { kind: 'choice', parts }
  }

  private sequence(depth: number): Node {
    const parts: Node[] = []
    while (!this.ended && !this.sees('|') && !(this.sees(')') && depth > 0)) {
      if (this.sees(')')) break
      parts.push(this.repeated(this.atom(depth)))
    }
    return { kind: 'sequence', parts }
  }

  private repeated(atom: Node): Node {
    let node = atom
    for (;;) {
      if (this.take('*')) node = { kind: 'repeat', part: node, min: 0, max: Infinity }
      else if (this.take('+')) node = { kind: 'repeat', part: node, min: 1, max: Infinity }
      else if (this.take('?')) node = { kind: 'repeat', part: node, min: 0, max: 1 }
      else if (this.take('{')) node = this.interval(node)
      else return node
    }
  }

  private interval(part: Node): Node {
    const min = this.number()
    if (min === undefined) throw this.wrong('a number is missing after {')
    let max: number = min
    if (this.take(',')) max = this.number() ?? Infinity
    if (!this.take('}')) throw this.wrong('} is missing')
    if (min > repeatMax || (max !== Infinity && max > repeatMax) || max < min) throw this.wrong('invalid {} count')
    return { kind: 'repeat', part, min, max }
  }

  private number(): number | undefined {
    const from = this.at
    while (this.at - from < 4 && /^[0-9]$/.test(this.pattern[this.at] ?? '')) this.at++
    return this.at === from ? undefined : Number(this.pattern.slice(from, this.at))
  }

  private atom(depth: number): Node {
    const byte = this.pattern[this.at] ?? ''
    this.at++
    switch (byte) {
      case '(': {
        const inner = this.choice(depth + 1)
        if (!this.take(')')) throw this.wrong(') is missing')
        return inner
      }
      case '[':
        return this.bracket()
      case '.':
        return { kind: 'set', set: complement(newSet()) }
      case '^':
        return { kind: 'begin' }
      case '$':
        return { kind: 'end' }
      case '\\':
        return this.escaped()
      case '*':
      case '+':
      case '?':
      case '{':
        throw this.wrong(`nothing before ${byte}`)
      default:
        return literal(byte)
    }
  }

  private bracket(): Node {
    const { set, next } = bracketSet(this.pattern, this.at)
    if (set === undefined) throw this.wrong(next === -1 ? '] is missing' : 'invalid [] expression')
    this.at = next
    return { kind: 'set', set }
  }

  private escaped(): Node {
    const byte = this.pattern[this.at]
    if (byte === undefined) throw this.wrong('nothing after \\')
    this.at++
    if (byte === 'w' || byte === 'W') return classNode(['alnum', '_'], byte === 'W')
    if (byte === 's' || byte === 'S') return classNode(['space'], byte === 'S')
    if (/^[A-Za-z0-9<>`']$/.test(byte)) throw this.wrong(`\\${byte} is not supported`)
    return literal(byte)
  }

  private sees(byte: string): boolean {
    return this.pattern[this.at] === byte
  }

  private take(byte: string): boolean {
    if (!this.sees(byte)) return false
    this.at++
    return true
  }

  private wrong(what: string): EreError {
    return new EreError(`${what}, at byte ${this.at}`)
  }
}

const empty: Node = { kind: 'empty' }

function literal(byte: string): Node {
  const set = newSet()
  addFolded(set, byte.charCodeAt(0))
  return { kind: 'set', set }
}

function classNode(names: readonly string[], negated: boolean): Node {
  const set = newSet()
  for (const name of names) {
    if (name.length === 1) addFolded(set, name.charCodeAt(0))
    else classSet(name)?.forEach((member, code) => (member === 1 ? addFolded(set, code) : undefined))
  }
  return { kind: 'set', set: negated ? complement(set) : set }
}
