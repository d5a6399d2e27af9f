/** What is known of a session, as the variables that filters have and as the fields on top of its messages. */
import type { ByteString } from '../../../base/byte-string.ts'
import { headerDate } from '../../../protocols/qmail/date.ts'
import type { Variables } from '../../../protocols/qmail/tcprules.ts'
import { tlsHeader } from '../../../protocols/qmail/tls-header.ts'
import type { SessionFacts } from '../../../contracts/sessions.ts'
import { baseEnvironment, type Environment, type Known } from '../../../servers/listener/peer.ts'
import type { GrantedSession } from '../session.ts'

/** What tcpserver and its rules, the TLS front, authup and checkpassword gave to ofmipd, and ofmipd to its filters.
 *  `rules`: no rule can change who has logged in. */
export function environmentOf(
  { grant, facts }: GrantedSession,
  me: string | undefined,
  rules: Variables,
): Map<string, string> {
  const { remoteIp, remotePort } = grant.peer
  const peer = { remoteIp, remotePort, localIp: facts.localIp, localPort: facts.localPort }
  const environment = new Map([
    ...baseEnvironment(peer, { me }, knownOf(facts)),
    ['PYMSGAUTH_TOLERATE_UNCONFIGURED', '1'],
    ...rules,
  ])
  environment.set('SSL_PROTOCOL', facts.tlsProtocol).set('SSL_CIPHER', facts.tlsCipher)
  environment.set('AUTHUP_USER', grant.account).set('USER', grant.user).set('LOGNAME', grant.user)
  return environment.set('HOME', grant.home).set('QMAILPPID', String(process.pid))
}

export function knownOf({ remoteHost }: SessionFacts): Known {
  return remoteHost === '' ? {} : { host: remoteHost }
}

/** What could end a comment of a header field, or the line. */
const unsafe = /[^!-'*-[\]-~]/g

/** The form that acceptutils gave it; below it ofmipd's own, which names the client, for those who want that. */
export function receivedFields(environment: Environment, withAddress: boolean, milliseconds: number): ByteString {
  const account = (environment.get('AUTHUP_USER') ?? 'unknown').replace(unsafe, '?')
  const tls = tlsHeader(new Map(environment).set('AUTHUP_USER', account), milliseconds)
  if (!withAddress) return tls
  const ip = (environment.get('TCPREMOTEIP') ?? 'unknown').replace(unsafe, '?')
  return `${tls}Received: (ofmipd ${ip}); ${headerDate(milliseconds)}\n`
}
