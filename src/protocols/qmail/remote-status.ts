/** Statuses of remote deliveries in the words of qmail-remote and qmail-rspawn. `host` is the one we are connected to, `reply`
 *  what it said last. Texts that qmail has no case for (TLS, AUTH, null MX) are ours, in its manner. */
import type { ByteString } from '../../base/byte-string.ts'
import { permanent, type Status, transient } from '../../base/outcome.ts'
import { enhancedCode } from '../smtp/refusal.ts'
import type { Reply } from '../smtp/reply-parser.ts'
import { printed } from './delivery-status.ts'

export interface Host {
  readonly name: string
  readonly address: string
}

/** What a host said, or that it said nothing. Subject and detail are those of its reply (RFC 2034), if it has them. */
function answered(statusClass: Status['class'], { name, address }: Host, words: ByteString, reply?: Reply): Status {
  const [subject, detail] = (reply && enhancedCode(reply)) ?? [0, 0]
  const lines = reply?.text ?? ''
  // qmail shows a NUL as `?`: a report ends at NUL.
  const said = lines === '' ? '' : `Remote host said: ${lines.replaceAll('\0', '?')}`
  const answer = { name, address, code: reply?.code ?? 0, lines }
  return { class: statusClass, subject, detail, peerText: `${words}.\n${said}`, logText: '', answer }
}

function connected(statusClass: 4 | 5, host: Host, but: string, reply?: Reply): Status {
  return answered(statusClass, host, `Connected to ${host.address} but ${but}`, reply)
}

/** Our own finding about a host. */
function found(failure: Status, { name, address }: Host): Status {
  return { ...failure, answer: { name, address, code: 0, lines: '' } }
}

function shown(host: ByteString): ByteString {
  return host.replace(/[^!-~]/g, '?')
}

export const remoteStatus = {
  noHostNow: printed(transient('1.2', "Sorry, I couldn't find any host by that name.")),
  noSuchHost: (host: ByteString): Status =>
    printed(permanent('1.2', `Sorry, I couldn't find any host named ${shown(host)}.`)),
  noAddress: printed(permanent('4.4', "Sorry, I couldn't find a mail exchanger or IP address.")),
  nullMx: (host: ByteString): Status => printed(permanent('1.10', `Sorry, ${shown(host)} does not accept mail.`)),
  ambiguousMx: printed(
    permanent(
      '4.6',
      "Sorry. Although I'm listed as a best-preference MX or A for that host,\n" +
        "it isn't in my control/locals file, so I don't treat it as local.",
    ),
  ),
  noConnection: printed(transient('4.1', "Sorry, I wasn't able to establish an SMTP connection.")),
  badRoute: printed(transient('3.0', 'Unable to read control files.')),
  unreadable: (): Status => printed(transient('3.0', 'Unable to read message.')),
  partialLine: (): Status => printed(permanent('6.2', 'SMTP cannot transfer messages with partial final lines.')),
  badSender: (): Status =>
    printed(permanent('1.7', "Sorry, the sender's address has no domain that a host could have.")),
  needsUtf8: (host: Host): Status =>
    found(printed(permanent('6.7', `Connected to ${host.address} but it does not take such addresses.`)), host),
  needsRequireTls: (host: Host): Status =>
    found(printed(permanent('7.30', `Connected to ${host.address} but it does not offer REQUIRETLS.`)), host),

  greetingFailed: (host: Host, reply: Reply): Status => connected(4, host, 'greeting failed', reply),
  nameRejected: (host: Host, reply: Reply): Status => connected(4, host, 'my name was rejected', reply),
  ourselves: (host: Host): Status =>
    found(printed(transient('4.6', `Connected to ${host.address} but it bears my own name: it is this host.`)), host),
  noTls: (host: Host, why: string, reply?: Reply): Status => connected(4, host, why, reply),
  /** A published policy forbids to deliver there, or cannot be found out now. */
  againstPolicy: (host: Host, why: string): Status =>
    found(printed(transient('7.5', `Not sent to ${shown(host.address)}: ${why}.`)), host),
  /** RFC 8689 §4.2.1. */
  unvouchedExchanger: (host: Host, domain: ByteString, failureClass: 4 | 5): Status => {
    const words = `Not sent to ${shown(host.address)}: neither DNSSEC nor MTA-STS vouches for ${shown(host.name)} as an exchanger of ${shown(domain)}, which REQUIRETLS demands.`
    return found(printed((failureClass === 5 ? permanent : transient)('7.30', words)), host)
  },
  loginRejected: (host: Host, reply: Reply): Status =>
    connected(4, host, 'my user name or password was rejected', reply),
  noLogin: (host: Host): Status => connected(4, host, 'it offers no AUTH that I can use'),
  senderRejected: (host: Host, reply: Reply, failureClass: 4 | 5): Status =>
    connected(failureClass, host, 'sender was rejected', reply),
  recipientRejected: (host: Host, reply: Reply, failureClass: 4 | 5): Status =>
    answered(failureClass, host, `${host.address} does not like recipient`, reply),
  givingUp: (host: Host): Status => answered(5, host, `Giving up on ${host.address}`),
  dataRejected: (host: Host, reply: Reply, failureClass: 4 | 5): Status =>
    answered(failureClass, host, `${host.address} failed on DATA command`, reply),
  contentRejected: (host: Host, reply: Reply, failureClass: 4 | 5): Status =>
    answered(failureClass, host, `${host.address} failed after I sent the message`, reply),
  accepted: (host: Host, reply: Reply): Status => answered(2, host, `${host.address} accepted message`, reply),
  died: (host: Host): Status =>
    found(printed(transient('4.2', `Connected to ${host.address} but connection died.`)), host),
  diedAfterDot: (host: Host): Status =>
    found(printed(transient('4.2', `Connected to ${host.address} but connection died. Possible duplicate!`)), host),
} as const

/** As qmail-rspawn: the answer to the recipient decides, followed by the transaction's end, unless the end was better. */
export function withEnd(recipient: Status, end: Status): Status {
  if (end.class < recipient.class) return recipient
  return { ...recipient, peerText: recipient.peerText + end.peerText }
}
