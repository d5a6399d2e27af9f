/** What a server offers in its answer to EHLO (RFC 5321 §4.1.1.1): one keyword a line, from the second on. */
import type { ByteString } from '../../base/byte-string.ts'
import { domainKeys } from '../qmail/control-format.ts'

export interface Capabilities {
  readonly pipelining: boolean
  readonly size: boolean
  readonly startTls: boolean
  readonly eightBitMime: boolean
  readonly smtpUtf8: boolean
  readonly requireTls: boolean
  /** SASL mechanisms, in capitals. */
  readonly auth: readonly string[]
}

/** After HELO. */
export const noCapabilities: Capabilities = {
  pipelining: false,
  size: false,
  startTls: false,
  eightBitMime: false,
  smtpUtf8: false,
  requireTls: false,
  auth: [],
}

/** `unwanted`: keywords, in capitals, that count as not offered. */
export function parseCapabilities(replyText: ByteString, unwanted: ReadonlySet<string> = new Set()): Capabilities {
  const keywords = new Map<string, readonly string[]>()
  for (const line of replyText.split('\n').slice(1)) {
    // `AUTH=LOGIN` is how servers of the last century spell it.
    const [keyword, ...parameters] = line.slice(4).toUpperCase().replace('=', ' ').split(' ')
    if (keyword !== undefined && keyword !== '' && !unwanted.has(keyword)) keywords.set(keyword, parameters)
  }
  return {
    pipelining: keywords.has('PIPELINING'),
    size: keywords.has('SIZE'),
    startTls: keywords.has('STARTTLS'),
    eightBitMime: keywords.has('8BITMIME'),
    smtpUtf8: keywords.has('SMTPUTF8'),
    requireTls: keywords.has('REQUIRETLS'),
    auth: keywords.get('AUTH') ?? [],
  }
}

export const noExtensionsForm = 'host:KEYWORD …, such as mx.example.com:PIPELINING, .example.com:EHLO or :8BITMIME'

const none: ReadonlySet<string> = new Set()

/** What `control/noextensions` says of a host under one of its names: the first that has a line, by itself, by a suffix
 *  that begins with a dot, or by the line for everybody. */
export function unwantedExtensions(
  table: ReadonlyMap<ByteString, ByteString> | undefined,
  names: readonly ByteString[],
): ReadonlySet<string> {
  if (table === undefined) return none
  const keys = [...names, ...names.flatMap((name) => [...domainKeys(name)])]
  const found = keys.map((key) => table.get(key)).find((line) => line !== undefined)
  return found === undefined ? none : new Set(wordsOf(found))
}

function wordsOf(line: ByteString): string[] {
  return line
    .toUpperCase()
    .split(/[ \t,]+/)
    .filter((word) => word !== '')
}

/** What we would use, and EHLO itself. */
const knownKeywords: ReadonlySet<string> = new Set([
  'EHLO',
  'PIPELINING',
  'SIZE',
  'STARTTLS',
  '8BITMIME',
  'SMTPUTF8',
  'REQUIRETLS',
  'AUTH',
])

/** A line of that file. */
export function namesExtensions(line: ByteString): boolean {
  const colon = line.indexOf(':')
  const words = wordsOf(line.slice(colon + 1))
  return colon >= 0 && words.length > 0 && words.every((word) => knownKeywords.has(word))
}
