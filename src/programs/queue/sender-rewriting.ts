/** SRS: gives a forward that leaves this host a sender of ours, so that its next host finds us allowed to send it, and brings
 *  home the bounces that come to such a sender.
 *  Knows:  which mail is a forward, which senders need it. Its secrets are nobody else's: smtpd asks here about each address.
 *  Fails:  without secrets a forward waits where it is, and a bounce at its sender: nobody can tell now. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { done, failed, type Outcome, permanent, transient } from '../../base/outcome.ts'
import { type Envelope, isAddress } from '../../contracts/envelope.ts'
import { routeRecipient, type RoutingTables } from '../../protocols/qmail/routing.ts'
import { domainOf, hostKeys } from '../../protocols/smtp/address.ts'
import { isSrsAddress, type SrsForm, type SrsKeys, unwrap, wrap } from '../../protocols/srs/srs.ts'
import type { Origin } from './acceptance.ts'
import type { ReadMessage } from './read-message.ts'

/** As control files say it now. */
export interface RewritingSetting {
  readonly form: SrsForm
  readonly keys: SrsKeys
  /** Senders of ours too. */
  readonly always: boolean
  /** control/rcpthosts and morercpthosts, in lower case. */
  acceptedHosts(): readonly ByteString[]
}

export interface RewritingPorts {
  /** Undefined: no control/srs_domain. */
  setting(): RewritingSetting | undefined
  tables(): RoutingTables
  /** Milliseconds since 1970, by the machine's clock. */
  now(): number
}

const noSecrets = transient(
  '3.5',
  'mail server temporarily rejected message',
  'control/srs_domain is there, but no secret in control/srs_secrets: write one, or remove srs_domain',
)
const bouncesOnly = permanent('7.1', 'sorry, that address takes bounces only')
const forged = permanent('1.1', 'sorry, that SRS address is none of mine')
const expired = permanent('1.1', 'sorry, that SRS address has expired')

export class SenderRewriting {
  private readonly ports: RewritingPorts

  constructor(ports: RewritingPorts) {
    this.ports = ports
  }

  /** To whom mail from that sender goes that comes to an SRS address of ours. Undefined: the recipient is none. */
  home(sender: ByteString, recipient: ByteString): Outcome<ByteString> | undefined {
    const setting = this.ports.setting()
    if (setting === undefined || !isSrsAddress(recipient, setting.form.domain)) return undefined
    if (setting.keys.secrets.length === 0) return failed(noSecrets)
    const unwrapped = unwrap(recipient, setting.form, setting.keys, this.ports.now())
    if (unwrapped.kind === 'forged') return failed(forged)
    if (unwrapped.kind === 'expired') return failed(expired)
    // Who has seen the address in a header might write to it for weeks; what it is for has no sender (RFC 5321 §4.5.5).
    return sender === '' ? done(unwrapped.address) : failed(bouncesOnly)
  }

  /** Undefined: whatever stands in the message, its sender stays. */
  begin({ sender, recipients }: Envelope, { invoked }: Origin): RewritingSetting | undefined {
    if (invoked === 'from network' || invoked === 'for bounce') return undefined
    const setting = this.ports.setting()
    if (setting === undefined || !this.isForeign(sender, setting)) return undefined
    const tables = this.ports.tables()
    const leaves = recipients.some((recipient) => routeRecipient(recipient, tables).channel === 'remote')
    return leaves ? setting : undefined
  }

  /** Who is to be the sender of the message. */
  senderOf(
    given: ByteString,
    { hasTravelled }: Pick<ReadMessage, 'hasTravelled'>,
    { form, keys }: RewritingSetting,
  ): Outcome<ByteString> {
    if (!hasTravelled) return done(given)
    if (keys.secrets.length === 0) return failed(noSecrets)
    const wrapped = wrap(given, form, keys, this.ports.now())
    return done(wrapped === undefined || !isAddress(wrapped) ? given : wrapped)
  }

  private isForeign(sender: ByteString, { form, always, acceptedHosts }: RewritingSetting): boolean {
    const domain = lowerAscii(domainOf(sender) ?? '')
    if (domain === '' || domain === '[]' || domain === form.domain) return false
    if (always) return true
    if (routeRecipient(sender, this.ports.tables()).channel === 'local') return false
    const accepted = acceptedHosts()
    return ![...hostKeys(domain)].some((key) => accepted.includes(key))
  }
}
