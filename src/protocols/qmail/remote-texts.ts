/** The words of qmail-remote, letter first. `host` is the address we are connected to, `reply` what it said last.
 *  Texts that qmail has no case for (TLS, AUTH, null MX) are ours, in its manner. */
import type { ByteString } from '../../base/byte-string.ts'

/** qmail shows a NUL as `?`: a report ends at NUL. */
function quoted(reply: ByteString): ByteString {
  return reply === '' ? '' : `Remote host said: ${reply.replaceAll('\0', '?')}`
}

function connected(letter: 'Z' | 'D', host: string, but: string, reply: ByteString): ByteString {
  return `${letter}Connected to ${host} but ${but}.\n${quoted(reply)}`
}

/** For a report on an answer: 5xx is for good, all else may pass. */
function letterOf(code: number): 'Z' | 'D' {
  return code >= 500 ? 'D' : 'Z'
}

export const remoteTexts = {
  noHostNow: "ZSorry, I couldn't find any host by that name. (#4.1.2)\n",
  noSuchHost: (host: ByteString): ByteString =>
    `DSorry, I couldn't find any host named ${host.replace(/[^!-~]/g, '?')}. (#5.1.2)\n`,
  noAddress: "DSorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n",
  nullMx: (host: ByteString): ByteString => `DSorry, ${host.replace(/[^!-~]/g, '?')} does not accept mail. (#5.1.10)\n`,
  ambiguousMx:
    "DSorry. Although I'm listed as a best-preference MX or A for that host,\n" +
    "it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n",
  noConnection: "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n",
  badRoute: 'ZUnable to read control files. (#4.3.0)\n',
  unreadable: 'ZUnable to read message. (#4.3.0)\n',
  partialLine: 'DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n',
  badSender: "DSorry, the sender's address has no domain that a host could have. (#5.1.7)\n",
  needsUtf8: (host: string): ByteString => `DConnected to ${host} but it does not take such addresses. (#5.6.7)\n`,
  needsRequireTls: (host: string): ByteString => `DConnected to ${host} but it does not offer REQUIRETLS. (#5.7.30)\n`,

  greetingFailed: (host: string, reply: ByteString): ByteString => connected('Z', host, 'greeting failed', reply),
  nameRejected: (host: string, reply: ByteString): ByteString => connected('Z', host, 'my name was rejected', reply),
  ourselves: (host: string): ByteString =>
    `ZConnected to ${host} but it bears my own name: it is this host. (#4.4.6)\n`,
  noTls: (host: string, why: string, reply: ByteString = ''): ByteString => connected('Z', host, why, reply),
  loginRejected: (host: string, reply: ByteString): ByteString =>
    connected('Z', host, 'my user name or password was rejected', reply),
  noLogin: (host: string): ByteString => connected('Z', host, 'it offers no AUTH that I can use', ''),
  senderRejected: (host: string, code: number, reply: ByteString): ByteString =>
    connected(letterOf(code), host, 'sender was rejected', reply),
  recipientRejected: (host: string, code: number, reply: ByteString): ByteString =>
    `${code >= 500 ? 'h' : 's'}${host} does not like recipient.\n${quoted(reply)}`,
  givingUp: (host: string): ByteString => `DGiving up on ${host}.\n`,
  dataRejected: (host: string, code: number, reply: ByteString): ByteString =>
    `${letterOf(code)}${host} failed on DATA command.\n${quoted(reply)}`,
  contentRejected: (host: string, code: number, reply: ByteString): ByteString =>
    `${letterOf(code)}${host} failed after I sent the message.\n${quoted(reply)}`,
  accepted: (host: string, reply: ByteString): ByteString => `K${host} accepted message.\n${quoted(reply)}`,
  died: (host: string): ByteString => `ZConnected to ${host} but connection died. (#4.4.2)\n`,
  diedAfterDot: (host: string): ByteString =>
    `ZConnected to ${host} but connection died. Possible duplicate! (#4.4.2)\n`,
} as const
