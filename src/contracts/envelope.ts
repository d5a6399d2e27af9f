/** The envelope between our programs: qmail's own form, `F` sender NUL, `T` recipient NUL for each, one more NUL.
 *  Because the form ends every address with NUL, no address can hold one; CR and LF are refused too (an SMTP command or
 *  a `.qmail` line could never have carried them).
 *  Knows:  the form and the limits. Never: what an address means. */
import type { ByteString } from '../base/byte-string.ts'
import { fromBuffer } from '../base/byte-string.ts'
import { ContractError } from './frame.ts'

/** qmail-queue's limit is 1003 bytes with the letter (spec: 1002 address bytes). */
export const addressBytesMax = 1002
export const recipientsMax = 10_000
/** Of one envelope, and of what one frame can carry beside 64 KiB of content. */
export const envelopeBytesMax: number = 1_900 * 1024

export interface Envelope {
  /** Empty for a bounce, `#@[]` for a double bounce, ending in `-@[]` for VERP. */
  readonly sender: ByteString
  readonly recipients: readonly ByteString[]
  /** Parameters of recipients, by address; of an address given twice, the last ones. Not in qmail's form. */
  readonly recipientParams?: ReadonlyMap<ByteString, Params> | undefined
  /** The addresses given at RCPT, by what they were changed to; unchanged ones are left out; of an address given twice, the
   *  last change. Not in qmail's form. */
  readonly originals?: ReadonlyMap<ByteString, ByteString> | undefined
}

/** What is said of recipients besides their addresses. */
export type RecipientFacts = Pick<Envelope, 'recipientParams' | 'originals'>

/** Extension parameters that travel with a message (RFC 1870, 6152, 3461, 6531, 8689): `BODY=8BITMIME`, `SMTPUTF8`, …
 *  Names in capitals. A program passes on what it does not know. */
export type Params = ReadonlyMap<string, ByteString>
export const noParams: Params = new Map()

/** The parameters of `open`, and those of `close`, which override them. */
export function withLate(params: Params, late: Params): Params {
  return late.size === 0 ? params : new Map([...params, ...late])
}

/** smtpd's statement that its client may relay, and who the client is: a uid of this machine, or an address or network.
 *  Empty: unknown. */
export const relayedParam = 'RELAYED'
/** smtpd's statement that a message is suspect, with the reason: delivery keeps it apart if there is a place for that. */
export const quarantineParam = 'QUARANTINE'
export const paramsMax = 32
/** How many of them may come with `close`. */
export const lateParamsMax = 4
const paramBytesMax = 1024

export function isAddress(address: ByteString): boolean {
  if (address.length > addressBytesMax) return false
  for (let at = 0; at < address.length; at++) {
    const code = address.charCodeAt(at)
    if (code === 0 || code === 10 || code === 13) return false
  }
  return true
}

export function encodeEnvelope(envelope: Envelope): Buffer {
  let text = `F${envelope.sender}\0`
  for (const recipient of envelope.recipients) text += `T${recipient}\0`
  return Buffer.from(`${text}\0`, 'latin1')
}

export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const records = fromBuffer(bytes).split('\0')
  // A well-formed envelope ends in two NULs, so the split ends in two empty records.
  const last = records.pop()
  const extra = records.pop()
  const first = records.shift()
  if (last !== '' || extra !== '' || first?.[0] !== 'F') throw new ContractError('malformed envelope')
  if (records.length > recipientsMax) throw new ContractError(`${records.length} recipients`)
  const recipients = records.map((record) => {
    if (record[0] !== 'T') throw new ContractError('malformed envelope record')
    return checked(record.slice(1))
  })
  return { sender: checked(first.slice(1)), recipients }
}

export function encodeParams(params: Params): ByteString {
  let text = ''
  for (const [name, value] of params) text += `${name}=${value}\0`
  return text
}

export function decodeParams(text: ByteString, countMax: number = paramsMax): Params {
  const params = new Map<string, ByteString>()
  if (text === '') return noParams
  const records = text.split('\0')
  if (records.pop() !== '' || records.length > countMax) throw new ContractError('malformed params')
  for (const record of records) {
    const equals = record.indexOf('=')
    if (equals < 1 || record.length > paramBytesMax) throw new ContractError('malformed param')
    params.set(record.slice(0, equals), record.slice(equals + 1))
  }
  return params
}

/** Address, parameters and original address, in turn: for a contract that carries an envelope on. */
export function encodeRecipientFacts({ recipientParams, originals }: Envelope): ByteString[] {
  if (recipientParams === undefined && originals === undefined) return []
  const addresses = new Set([...(recipientParams?.keys() ?? []), ...(originals?.keys() ?? [])])
  return [...addresses].flatMap((address) => [
    address,
    encodeParams(recipientParams?.get(address) ?? noParams),
    originals?.get(address) ?? address,
  ])
}

export function decodeRecipientFacts(texts: readonly ByteString[]): RecipientFacts {
  const recipientParams = new Map<ByteString, Params>()
  const originals = new Map<ByteString, ByteString>()
  for (let at = 0; at < texts.length; at += 3) {
    const address = checked(texts[at] ?? '')
    const params = decodeParams(texts[at + 1] ?? '')
    const original = checked(texts[at + 2] ?? '')
    if (params.size > 0) recipientParams.set(address, params)
    if (original !== address) originals.set(address, original)
  }
  return recipientFacts(recipientParams, originals)
}

/** Leaves out a field that would be empty. */
export function recipientFacts(
  recipientParams: ReadonlyMap<ByteString, Params>,
  originals: ReadonlyMap<ByteString, ByteString>,
): RecipientFacts {
  return {
    ...(recipientParams.size === 0 ? {} : { recipientParams }),
    ...(originals.size === 0 ? {} : { originals }),
  }
}

export const paramsBytesMax: number = paramsMax * (paramBytesMax + 1)

function checked(address: ByteString): ByteString {
  if (!isAddress(address)) throw new ContractError('address too long, or with CR or LF')
  return address
}
