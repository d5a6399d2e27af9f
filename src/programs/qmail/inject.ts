/** qmail-inject(8): a message with a header as people and scripts write it. */
import { type ByteString, fromBuffer, lowerAscii, toText } from '../../base/byte-string.ts'
import { noParams, type Params, recipientFacts } from '../../contracts/envelope.ts'
import { headerDate } from '../../protocols/qmail/date.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { quoteAddress } from '../../protocols/qmail/quote.ts'
import { makeMessageId } from '../../protocols/submission/complete-header.ts'
import { completed, HeaderTooLong } from '../../protocols/submission/complete-message.ts'
import type { Field } from '../../protocols/rfc822/header.ts'
import {
  authorAddress,
  injectHeader,
  printAuthor,
  printHeader,
  UnreadableField,
} from '../../protocols/inject/header.ts'
import { type InjectHosts, rewriteArgument } from '../../protocols/inject/rewrite.ts'
import { parseList } from '../../protocols/qmail/control-format.ts'
import { readLineOrMe } from '../../stores/control/line-file.ts'
import { errorCode, readSmallFile } from '../../system/files.ts'
import { type Call, exit, Fatal } from './call.ts'
import { parseOptions } from './options.ts'
import { enqueue } from './send.ts'

const prefix = 'qmail-inject: fatal: '
const followUpBytesMax: number = 1024 * 1024

type Recipients = 'arguments' | 'header' | 'both'

interface Settings {
  readonly hosts: InjectHosts
  readonly idhost: ByteString
  /** Letters of QMAILINJECT. */
  readonly letters: ByteString
  readonly prints: boolean
  readonly recipients: Recipients
  /** Empty if only those of the header count: then the arguments are not parsed. */
  readonly argumentRecipients: readonly ByteString[]
  /** By `-f`, completed. */
  readonly sender: ByteString | undefined
}

/** Delivery reports asked for (RFC 3461): parameters of the message, and of each recipient. */
export interface WantedReports {
  readonly params: Params
  readonly recipientParams: Params
}

const noReports: WantedReports = { params: noParams, recipientParams: noParams }

export async function inject(call: Call, reports: WantedReports = noReports): Promise<number> {
  const settings = settingsOf(call)
  const recipients = [...settings.argumentRecipients]
  let sender = settings.sender ?? ''
  const content = completed(call.input(), (fields) => {
    const done = complete(call, settings, fields)
    if (settings.recipients !== 'arguments') recipients.push(...done.recipients)
    sender = done.sender
    return settings.prints ? `Return-Path: <${quoteAddress(done.sender)}>\n${done.header}` : done.header
  })
  try {
    if (settings.prints) for await (const chunk of content) call.out(chunk)
    else
      await enqueue(call, prefix, content, () => ({
        sender,
        recipients,
        params: reports.params,
        ...recipientFacts(paramsOfAll(recipients, reports.recipientParams), new Map()),
      }))
  } catch (error) {
    throw explained(error)
  }
  return exit.ok
}

function paramsOfAll(recipients: readonly ByteString[], params: Params): ReadonlyMap<ByteString, Params> {
  return params.size === 0 ? new Map() : new Map(recipients.map((recipient) => [recipient, params]))
}

function explained(error: unknown): unknown {
  if (error instanceof UnreadableField)
    return new Fatal(exit.permanent, `${prefix}unable to parse this line:\n${error.field.replace(/\n$/, '')}`)
  return error instanceof HeaderTooLong ? new Fatal(exit.permanent, `${prefix}${error.message}`) : error
}

function settingsOf(call: Call): Settings {
  const { options, operands } = parseOptions(call.args, 'aAhHnNf:', 'qmail-inject')
  const last = (letters: string): string | undefined =>
    options.findLast(({ letter }) => letters.includes(letter))?.letter
  const hosts = {
    defaulthost: setting(call, 'defaulthost', 'QMAILDEFAULTHOST'),
    defaultdomain: setting(call, 'defaultdomain', 'QMAILDEFAULTDOMAIN'),
    plusdomain: setting(call, 'plusdomain', 'QMAILPLUSDOMAIN'),
  }
  const whom = { a: 'arguments', h: 'header', H: 'both' } as const
  const chosen = last('aAhH')
  const byDefault: Recipients = operands.length > 0 ? 'arguments' : 'header'
  const from = options.findLast(({ letter }) => letter === 'f')?.value
  const recipients = chosen === 'a' || chosen === 'h' || chosen === 'H' ? whom[chosen] : byDefault
  return {
    hosts,
    idhost: setting(call, 'idhost', 'QMAILIDHOST'),
    letters: call.variables.get('QMAILINJECT') ?? '',
    prints: last('nN') === 'n',
    recipients,
    argumentRecipients: recipients === 'header' ? [] : operands.map((operand) => argument(operand, hosts)),
    sender: from === undefined ? undefined : from === '' ? '' : argument(from, hosts),
  }
}

function setting(call: Call, name: string, variable: string): ByteString {
  const value = call.variables.get(variable)
  if (value !== undefined) return value
  const { control } = call.home()
  try {
    return readLineOrMe(control, name) ?? name
  } catch (error) {
    throw new Fatal(exit.temporary, `${prefix}unable to read controls: ${errnoText(errorCode(error))}`)
  }
}

function argument(address: ByteString, hosts: InjectHosts): ByteString {
  const rewritten = rewriteArgument(address, hosts)
  if (rewritten === undefined) throw new Fatal(exit.permanent, `${prefix}unable to parse address: ${address}`)
  return rewritten
}

interface Completed {
  readonly header: ByteString
  readonly sender: ByteString
  readonly recipients: readonly ByteString[]
}

function complete(call: Call, settings: Settings, fields: readonly Field[]): Completed {
  const { hosts, letters } = settings
  const header = injectHeader(fields, hosts, {
    ignoresReturnPath: letters.includes('s'),
    dropsFrom: letters.includes('f'),
    dropsMessageId: letters.includes('i'),
  })
  const user = firstOf(call, 'QMAILUSER', 'MAILUSER', 'USER', 'LOGNAME') ?? 'anonymous'
  const host = firstOf(call, 'QMAILHOST', 'MAILHOST')
  const now = call.now()
  const author = {
    user,
    host,
    name: firstOf(call, 'QMAILNAME', 'MAILNAME', 'NAME'),
    nameInComment: letters.includes('c'),
  }
  return {
    header: printHeader(header, {
      date: headerDate(now),
      messageId: makeMessageId(now, [call.pid], settings.idhost),
      author: printAuthor(author, hosts),
      followUp: followUpOf(call, header.shown),
    }),
    recipients: header.recipients,
    sender: settings.sender ?? senderOf(call, settings, header.returnPath, { user, host }),
  }
}

/** From Return-Path, or from the caller's environment; with `r` in QMAILINJECT a separate sender for each recipient. */
function senderOf(
  call: Call,
  { hosts, letters }: Settings,
  returnPath: ByteString | undefined,
  author: { user: ByteString; host: ByteString | undefined },
): ByteString {
  const perRecipient = letters.includes('r')
  if (returnPath !== undefined) return perRecipient ? `${returnPath}-@[]` : returnPath
  const user = call.variables.get('QMAILSUSER') ?? author.user
  const host = call.variables.get('QMAILSHOST') ?? author.host
  const perMessage = letters.includes('m') ? `-${Math.floor(call.now() / 1000)}.${call.pid}` : ''
  const address = authorAddress(`${user}${perMessage}${perRecipient ? '-' : ''}`, host, hosts)
  return perRecipient ? `${address}-@[]` : address
}

/** QMAILMFTFILE lists the mailing lists that the caller reads: an answer to one of them need not come to them as well. The last
 *  field's addresses come first, each field's in their order. */
function followUpOf(call: Call, shown: readonly ByteString[]): readonly ByteString[] | undefined {
  const file = call.variables.get('QMAILMFTFILE')
  if (file === undefined) return undefined
  let bytes: Buffer | undefined
  try {
    bytes = readSmallFile(toText(file), followUpBytesMax)
  } catch (error) {
    throw new Fatal(exit.temporary, `${prefix}unable to read QMAILMFTFILE: ${errnoText(errorCode(error))}`)
  }
  const lists = new Set(parseList(fromBuffer(bytes ?? Buffer.alloc(0))).map(lowerAscii))
  return shown.some((address) => lists.has(lowerAscii(address))) ? shown.toReversed().map(quoteAddress) : undefined
}

function firstOf(call: Call, ...names: string[]): ByteString | undefined {
  return names.map((name) => call.variables.get(name)).find((value) => value !== undefined)
}
