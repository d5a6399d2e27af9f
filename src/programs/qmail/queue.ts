/** `bin/qmail-queue` of a home: qmail's interface for injectors. The message on descriptor 0, then the envelope on descriptor
 *  1; no output; exit codes are qmail-queue's. */
import type { ByteString } from '../../base/byte-string.ts'
import { fromBuffer } from '../../base/byte-string.ts'
import type { Failure } from '../../base/outcome.ts'
import { addressBytesMax, type Envelope, envelopeBytesMax, isAddress, recipientsMax } from '../../contracts/envelope.ts'
import type { Home } from '../../stores/home/layout.ts'
import { gather, readDescriptor } from '../../system/input-spool.ts'
import type { Gathered } from '../../system/spool.ts'
import { type Call, Fatal } from './call.ts'
import { handOver } from './hand-over.ts'

const code = {
  queued: 0,
  addressTooLong: 11,
  tooManyRecipients: 12,
  rejected: 31,
  timeout: 52,
  writeError: 53,
  readError: 54,
  noHome: 61,
  cannotCreate: 64,
  rejectedForNow: 71,
  badEnvelope: 91,
} as const

/** qmail-queue's own alarm. */
const alarmMilliseconds = 86_400_000

/** Resolves with the exit code. */
export async function qmailQueue(call: Call): Promise<number> {
  const home = homeOf(call)
  if (home === undefined) return code.noHome
  setTimeout(() => process.exit(code.timeout), alarmMilliseconds).unref()
  let content: Gathered | undefined
  try {
    content = await gather(readDescriptor(0))
  } catch (error) {
    return isFull(error) ? code.writeError : code.readError
  }
  const envelope = await readEnvelope()
  if (typeof envelope === 'number') return envelope
  const result = await handOver(home, envelope, content)
  content.close()
  return result.kind === 'failed' ? codeOf(result.failure) : code.queued
}

/** The envelope, or the exit code for its fault. */
export function parseEnvelope(bytes: ByteString): Envelope | number {
  if (bytes !== '' && !bytes.startsWith('F')) return code.badEnvelope
  const recipients: ByteString[] = []
  let sender: ByteString | undefined
  for (let at = 0; ; ) {
    const end = bytes.indexOf('\0', at)
    if (end === -1) return code.readError
    if (sender !== undefined && end === at) return { sender, recipients }
    if (sender !== undefined && bytes[at] !== 'T') return code.badEnvelope
    const address = bytes.slice(at + 1, end)
    if (address.length > addressBytesMax) return code.addressTooLong
    if (!isAddress(address)) return code.badEnvelope
    if (sender === undefined) sender = address
    else recipients.push(address)
    at = end + 1
  }
}

export async function readEnvelope(): Promise<Envelope | number> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of readDescriptor(1) as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > envelopeBytesMax) return code.tooManyRecipients
      chunks.push(chunk)
    }
  } catch {
    return code.readError
  }
  const envelope = parseEnvelope(fromBuffer(Buffer.concat(chunks)))
  if (typeof envelope !== 'number' && envelope.recipients.length > recipientsMax) return code.tooManyRecipients
  return envelope
}

function codeOf({ class: failureClass, peerText }: Failure): number {
  if (failureClass === 5) return code.rejected
  if (peerText.startsWith('qq timeout')) return code.timeout
  if (peerText.startsWith('qq write error')) return code.writeError
  if (peerText.startsWith('qq trouble creating')) return code.cannotCreate
  return code.rejectedForNow
}

function homeOf(call: Call): Home | undefined {
  try {
    return call.home()
  } catch (error) {
    if (error instanceof Fatal) return undefined
    throw error
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}
