/** A status in a frame, and in the queue's rows. */
import type { ByteString } from '../base/byte-string.ts'
import type { HostAnswer, Status } from '../base/outcome.ts'
import type { FieldReader, FieldWriter } from './fields.ts'
import { ContractError } from './frame.ts'

/** qmail-send cuts reports at this length. */
export const statusTextBytesMax = 10_000
const logTextBytesMax = 4096
const nameBytesMax = 255
const linesBytesMax = 5000
const answerBytesMax: number = 2 * nameBytesMax + linesBytesMax + 8
const numberMax = 999

/** `logText` as bytes. */
export function writeStatus(fields: FieldWriter, status: Status): void {
  fields
    .u32(encodeCode(status))
    .string(status.peerText.slice(0, statusTextBytesMax))
    .string(status.logText.slice(0, logTextBytesMax))
    .string(encodeAnswer(status.answer))
}

export function readStatus(fields: FieldReader): Status {
  const code = decodeCode(fields.u32())
  const [peerText, logText] = [fields.string(statusTextBytesMax), fields.string(logTextBytesMax)]
  return { ...code, peerText, logText, answer: decodeAnswer(fields.string(answerBytesMax)) }
}

/** 5.1.1 is 5,001,001. */
export function encodeCode({ class: statusClass, subject, detail }: Status): number {
  return statusClass * 1_000_000 + Math.min(subject, numberMax) * 1000 + Math.min(detail, numberMax)
}

export function decodeCode(code: number): Pick<Status, 'class' | 'subject' | 'detail'> {
  const statusClass = Math.floor(code / 1_000_000)
  if (statusClass !== 2 && statusClass !== 4 && statusClass !== 5) throw new ContractError('status of no class')
  return { class: statusClass, subject: Math.floor(code / 1000) % 1000, detail: code % 1000 }
}

/** Empty for none. */
export function encodeAnswer(answer: HostAnswer | undefined): ByteString {
  if (answer === undefined) return ''
  const { name, address, code, lines } = answer
  return `${name.slice(0, nameBytesMax)}\0${address.slice(0, nameBytesMax)}\0${code}\0${lines.slice(0, linesBytesMax)}`
}

export function decodeAnswer(text: ByteString): HostAnswer | undefined {
  if (text === '') return undefined
  const [name, address, code, ...lines] = text.split('\0')
  if (name === undefined || address === undefined || !/^\d{1,3}$/.test(code ?? '') || lines.length === 0)
    throw new ContractError('answer mangled')
  return { name, address, code: Number(code), lines: lines.join('\0') }
}
