/** The Received field that a server puts on top of a message (RFC 5321 §4.4), in qmail's form.
 *  Whatever a peer or the DNS chose is filtered: no byte of it can end the line or pretend to be another part. */
import type { ByteString } from '../../base/byte-string.ts'
import { headerDate } from '../qmail/date.ts'

export interface ReceivedFacts {
  readonly remoteHost: ByteString
  readonly remoteIp: ByteString
  /** What the remote host's ident service said. */
  readonly remoteInfo?: ByteString | undefined
  /** The argument of HELO or EHLO; empty if there was none. */
  readonly helo: ByteString
  readonly local: ByteString
  /** `SMTP`, or `ESMTPS` with the facts of the TLS session. */
  readonly protocol: string
  readonly milliseconds: number
}

export function receivedField(facts: ReceivedFacts): ByteString {
  const host = safe(facts.remoteHost)
  const differs = facts.helo !== '' && facts.helo.toLowerCase() !== facts.remoteHost.toLowerCase()
  const helo = differs ? ` (HELO ${safe(facts.helo)})` : ''
  const info = facts.remoteInfo === undefined ? '' : `${safe(facts.remoteInfo)}@`
  const from = `Received: from ${host}${helo} (${info}${safe(facts.remoteIp)})\n`
  return `${from}  by ${safe(facts.local)} with ${facts.protocol}; ${headerDate(facts.milliseconds)}\n`
}

/** `TLSv1.3`, `TLS_AES_256_GCM_SHA384` → what stands after `with`. */
export function tlsProtocol(version: string, cipher: string): string {
  return `ESMTPS (${version} ${cipher} encrypted)`
}

function safe(bytes: ByteString): ByteString {
  return bytes.replace(/[^A-Za-z0-9.@%+/=:[\]-]/g, '?')
}
