/** What a server offers in its answer to EHLO (RFC 5321 §4.1.1.1): one keyword a line, from the second on. */
import type { ByteString } from '../../base/byte-string.ts'

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
