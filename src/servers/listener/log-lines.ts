/** smtpd's line about a refusal: the client, the check, what it was about, the reply. fail2ban reads it. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Reply } from '../../protocols/smtp/replies.ts'
import { printable } from '../../system/log.ts'
import type { Environment } from './peer.ts'

export function refusalLine(environment: Environment, check: string, reply?: Reply, about: ByteString = ''): string {
  const ip = environment.get('TCPREMOTEIP') ?? 'unknown'
  const answer = reply === undefined ? '' : ` ${reply.code} ${reply.text}`
  return `refused ${ip} ${check}${about === '' ? '' : ` ${printable(about)}`}:${answer}`
}
