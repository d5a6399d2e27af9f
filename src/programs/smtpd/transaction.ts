/** Sender and recipients between MAIL and DATA, and the checks on both in qmail-smtpd's order. */
import type { ByteString } from '../../base/byte-string.ts'
import { type Envelope, isAddress, noParams, type Params, recipientFacts } from '../../contracts/envelope.ts'
import { readAddress } from '../../protocols/smtp/address.ts'
import { replies, type Reply } from '../../protocols/smtp/replies.ts'
import { mailParameters, recipientParameters } from '../../servers/smtp/parameters.ts'
import type { Policy } from './policy.ts'

export interface TransactionSetting {
  readonly policy: Policy
  /** 0: no limit. */
  readonly databytes: number
  /** The client sent EHLO: parameters count. After HELO, or neither, they are ignored, as in qmail. */
  readonly extended: boolean
}

/** A recipient that is well formed. */
export interface Candidate {
  readonly recipient: ByteString
  /** As it was given. */
  readonly original: ByteString
  readonly params: Params
  /** By rcpthosts, or because the client may relay. */
  /** By rcpthosts; undefined: unknown now. */
  readonly allowed: boolean | undefined
}

export class Transaction {
  sender: ByteString
  /** RCPT commands that were well formed, accepted or not. */
  recipientsAsked = 0
  readonly recipients: ByteString[] = []
  readonly params: Params
  private readonly recipientParams = new Map<ByteString, Params>()
  private readonly originals = new Map<ByteString, ByteString>()
  private readonly setting: TransactionSetting
  /** As in qmail, decided at MAIL and replied to every RCPT. */
  private badSender: boolean

  private constructor(sender: ByteString, params: Params, setting: TransactionSetting) {
    this.sender = sender
    this.params = params
    this.setting = setting
    this.badSender = setting.policy.isBadSender(sender)
  }

  /** From the argument of MAIL: a transaction, or the reply that refuses it. */
  static begin(argument: ByteString, setting: TransactionSetting): Transaction | Reply {
    const parsed = readAddress(argument, setting.policy.localized)
    if ('code' in parsed) return parsed
    if (!setting.extended) return new Transaction(parsed.address, noParams, setting)
    const params = mailParameters(parsed.rest, setting.databytes)
    return 'code' in params ? params : new Transaction(parsed.address, params, setting)
  }

  /** From the argument of RCPT: the recipient as it would be accepted, or the reply that refuses it whatever the gate says.
   *  `suffix` is RELAYCLIENT: it is appended to the recipient, and rcpthosts does not count. */
  readRecipient(argument: ByteString, suffix: ByteString | undefined, recipientsMax: number): Candidate | Reply {
    const { policy, extended } = this.setting
    let original = ''
    const parsed = readAddress(argument, (given) => {
      original = given
      return policy.localized(given)
    })
    if ('code' in parsed) return parsed
    const params = extended ? recipientParameters(parsed.rest) : noParams
    if ('code' in params) return params
    if (this.badSender) return replies.badMailFrom
    if (this.recipients.length >= recipientsMax) return replies.tooManyRecipients
    this.recipientsAsked++
    return this.candidate(parsed.address, suffix, { params, original })
  }

  /** After a check has replaced the recipient's address. */
  candidate(
    address: ByteString,
    suffix: ByteString | undefined,
    { params, original }: Pick<Candidate, 'params' | 'original'>,
  ): Candidate | Reply {
    const { policy } = this.setting
    const recipient = policy.withoutPercents(address + (suffix ?? ''))
    if (!isAddress(recipient)) return replies.syntax
    return { recipient, original, params, allowed: suffix !== undefined || policy.isAllowedRecipient(recipient) }
  }

  /** The gate has let it pass. */
  addRecipient({ recipient, original, params, allowed }: Candidate, skipOwnChecks: boolean): Reply {
    if (!skipOwnChecks && allowed !== true)
      return allowed === undefined ? replies.hostsUnreadable : replies.notInRcptHosts
    this.recipients.push(recipient)
    if (params.size > 0) this.recipientParams.set(recipient, params)
    if (original !== recipient && isAddress(original)) this.originals.set(recipient, original)
    return replies.recipientOk
  }

  /** Applies the gate's answer at MAIL: another sender, or no check of badmailfrom. */
  changeSender(address: ByteString | undefined, skipOwnChecks: boolean): void {
    if (address !== undefined && isAddress(address)) this.sender = address
    this.badSender = !skipOwnChecks && this.setting.policy.isBadSender(this.sender)
  }

  get envelope(): Envelope {
    const { sender, recipients, recipientParams, originals } = this
    return { sender, recipients, ...recipientFacts(recipientParams, originals) }
  }
}
