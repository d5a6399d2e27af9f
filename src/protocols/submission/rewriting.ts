/** rewriting(5): what becomes of the host in an address that a person typed.
 *    =post:new   the host is `post`: it becomes `new`
 *    *post:new   the host ends with `post`: that end becomes `new`
 *    ?post:new   the same, if what is before it has no dot and no bracket
 *    -post:new   the host ends with `post`: all of it becomes `new`
 *  In order, each at most once, in any case of letters. An address without a host has an empty one. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { contentLines } from '../qmail/control-format.ts'

const kinds = '=*?-'
type Kind = '=' | '*' | '?' | '-'

export interface Instruction {
  readonly kind: Kind
  /** In lower case. */
  readonly post: ByteString
  readonly replacement: ByteString
}

/** Hosts, not yet rewritten. */
export interface DefaultHosts {
  readonly defaulthost: ByteString
  readonly defaultdomain: ByteString
  readonly plusdomain: ByteString
}

export type ParsedRewriting =
  | { readonly valid: true; readonly instructions: readonly Instruction[] }
  | { readonly valid: false; readonly line: number }

/** The whole file: `#` in the first column begins a remark. */
export function parseRewriting(text: ByteString): ParsedRewriting {
  const instructions: Instruction[] = []
  for (const { line, text: written } of contentLines(text)) {
    const colon = written.indexOf(':')
    if (colon < 1 || !kinds.includes(written.charAt(0))) return { valid: false, line }
    instructions.push(instruction(written.charAt(0) as Kind, written.slice(1, colon), written.slice(colon + 1)))
  }
  return { valid: true, instructions }
}

/** What is done without control/rewrite. */
export function defaultRewriting({ defaulthost, defaultdomain, plusdomain }: DefaultHosts): Instruction[] {
  return [
    instruction('*', '.', ''),
    instruction('=', '', defaulthost),
    instruction('*', '+', `.${plusdomain}`),
    instruction('?', '', `.${defaultdomain}`),
  ]
}

export function rewriteHost(host: ByteString, instructions: readonly Instruction[]): ByteString {
  let current = host
  for (const { kind, post, replacement } of instructions) {
    const folded = lowerAscii(current)
    if (!folded.endsWith(post)) continue
    const before = current.slice(0, current.length - post.length)
    if (kind === '=') current = before === '' ? replacement : current
    else if (kind === '*') current = before + replacement
    else if (kind === '-') current = replacement
    else if (!/[.[\]]/.test(before)) current = before + replacement
  }
  return current
}

/** An address of the envelope after rewriting. */
export function rewriteAddress(address: ByteString, rewriting: readonly Instruction[]): ByteString {
  if (address === '') return ''
  const at = address.lastIndexOf('@')
  const host = rewriteHost(at < 0 ? '' : address.slice(at + 1), rewriting)
  return `${at < 0 ? address : address.slice(0, at)}@${host}`
}

function instruction(kind: Kind, post: ByteString, replacement: ByteString): Instruction {
  return { kind, post: lowerAscii(post), replacement }
}
