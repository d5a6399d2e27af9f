/** recipients: smtpd asks lspawn whether mail for a local address would find a mailbox.
 *
 *    ask     ref address          the address as routed (virtual domain's prepend in front)
 *    answer  ref verdict rule     rule: the file or account that decided, for the log and for `explain`
 *
 *  Any number of questions at once. `full`: it would, but the mailbox is over its quota. `unknown`: lspawn could not find out
 *  now. No process is started for an answer. */
import type { ByteString } from '../base/byte-string.ts'
import { addressBytesMax } from './envelope.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { ContractError, encodeFrame, type Frame } from './frame.ts'

const type = { ask: 144, answer: 145 } as const
const verdicts = ['exists', 'absent', 'unknown', 'full'] as const
const ruleBytesMax = 1024

export type RecipientVerdict = (typeof verdicts)[number]

export interface RecipientQuestion {
  readonly ref: number
  readonly address: ByteString
}

export interface RecipientAnswer {
  readonly ref: number
  readonly verdict: RecipientVerdict
  readonly rule: ByteString
}

export function encodeRecipientQuestion({ ref, address }: RecipientQuestion): Buffer {
  return encodeFrame(type.ask, ...new FieldWriter().u32(ref).string(address).end())
}

export function decodeRecipientQuestion(frame: Frame): RecipientQuestion {
  if (frame.type !== type.ask) throw new ContractError(`frame type ${frame.type}, a recipient question was expected`)
  const fields = new FieldReader(frame.payload)
  const question = { ref: fields.u32(), address: fields.string(2 * addressBytesMax) }
  fields.end()
  return question
}

export function encodeRecipientAnswer({ ref, verdict, rule }: RecipientAnswer): Buffer {
  const fields = new FieldWriter().u32(ref).u8(verdicts.indexOf(verdict)).string(rule.slice(0, ruleBytesMax))
  return encodeFrame(type.answer, ...fields.end())
}

export function decodeRecipientAnswer(frame: Frame): RecipientAnswer {
  if (frame.type !== type.answer) throw new ContractError(`frame type ${frame.type}, a recipient answer was expected`)
  const fields = new FieldReader(frame.payload)
  const ref = fields.u32()
  const verdict = verdicts[fields.u8()]
  if (verdict === undefined) throw new ContractError('unknown verdict')
  const rule = fields.string(ruleBytesMax)
  fields.end()
  return { ref, verdict, rule }
}
