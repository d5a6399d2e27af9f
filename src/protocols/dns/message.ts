/** Messages of the DNS (RFC 1035 §4), as far as finding out where mail goes needs them: one question, and of an answer the
 *  records of five types.
 *  Never:  trusts a length or a pointer: names end, and pointers lead back.
 *  Fails:  what is no message throws DnsMessageError. */
import type { TlsaRecord } from '../dane/tlsa.ts'

export const recordTypes = { A: 1, CNAME: 5, MX: 15, AAAA: 28, TLSA: 52 } as const
export type RecordType = keyof typeof recordTypes

export type DnsRecord = {
  /** As the message has it. */
  readonly name: string
  readonly ttlSeconds: number
} & (
  | { readonly type: 'A' | 'AAAA' /** 4 or 16 bytes. */; readonly address: Uint8Array }
  | { readonly type: 'CNAME'; readonly target: string }
  | { readonly type: 'MX'; readonly preference: number; readonly exchange: string }
  | { readonly type: 'TLSA'; readonly tlsa: TlsaRecord }
)

export interface DnsMessage {
  readonly id: number
  readonly isAnswer: boolean
  /** The answer did not fit: ask again by TCP. */
  readonly isTruncated: boolean
  /** AD: the server that answers has verified it (RFC 4035 §3.2.3). */
  readonly isAuthentic: boolean
  /** RCODE: 0 no error, 2 SERVFAIL, 3 NXDOMAIN. */
  readonly code: number
  readonly question: { readonly name: string; readonly type: number } | undefined
  /** Of the five types; others are passed over. */
  readonly records: readonly DnsRecord[]
}

export class DnsMessageError extends Error {
  override name = 'DnsMessageError'
}

const headerBytes = 12
const internet = 1
const nameBytesMax = 255
/** What we take by UDP without fragments (RFC 9715). */
const udpBytes = 1232
const recordsMax = 500

/** Recursion desired, and AD: the answer shall say whether it was verified (RFC 6840 §5.7). Undefined: no such name can be asked
 *  for. */
export function encodeQuestion(id: number, name: string, type: RecordType): Uint8Array | undefined {
  const encoded = encodeName(name)
  if (encoded === undefined) return undefined
  const flags = 0x0120
  const options = [0, 0, 41, ...u16(udpBytes), 0, 0, 0, 0, 0, 0]
  return Uint8Array.from([
    ...u16(id),
    ...u16(flags),
    ...[1, 0, 0, 1].flatMap(u16),
    ...encoded,
    ...u16(recordTypes[type]),
    ...u16(internet),
    ...options,
  ])
}

export function parseMessage(bytes: Uint8Array): DnsMessage {
  const reader = new Reader(bytes)
  const [id, flags, questions, answers] = [reader.u16(), reader.u16(), reader.u16(), reader.u16()]
  reader.at = headerBytes
  const question = questions === 1 ? reader.question() : undefined
  const records: DnsRecord[] = []
  // Of a truncated answer no record counts.
  const isTruncated = (flags & 0x0200) !== 0
  for (let n = 0; n < Math.min(answers, recordsMax) && !isTruncated; n++) {
    const record = reader.record()
    if (record !== undefined) records.push(record)
  }
  return {
    id,
    isAnswer: (flags & 0x8000) !== 0,
    isTruncated,
    isAuthentic: (flags & 0x0020) !== 0,
    code: flags & 0x000f,
    question,
    records,
  }
}

class Reader {
  at = 0
  private readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  u8(): number {
    const value = this.bytes[this.at++]
    if (value === undefined) throw new DnsMessageError('it ends too early')
    return value
  }

  u16(): number {
    return this.u8() * 256 + this.u8()
  }

  question(): { name: string; type: number } {
    const name = this.name()
    const type = this.u16()
    this.u16()
    return { name, type }
  }

  record(): DnsRecord | undefined {
    const name = this.name()
    const [type, recordClass] = [this.u16(), this.u16()]
    const ttl = this.u16() * 65_536 + this.u16()
    const end = this.u16() + this.at
    if (end > this.bytes.length) throw new DnsMessageError('a record ends behind it')
    // RFC 2181 §8.
    const same = { name, ttlSeconds: ttl >= 2 ** 31 ? 0 : ttl }
    const record = recordClass === internet ? this.data(type, end, same) : undefined
    if (this.at > end) throw new DnsMessageError('a record is longer than it says')
    this.at = end
    return record
  }

  private data(
    type: number,
    end: number,
    same: { readonly name: string; readonly ttlSeconds: number },
  ): DnsRecord | undefined {
    const length = end - this.at
    switch (type) {
      case recordTypes.A:
      case recordTypes.AAAA: {
        const isFour = type === recordTypes.A
        if (length !== (isFour ? 4 : 16)) throw new DnsMessageError('an address has another length')
        return { ...same, type: isFour ? 'A' : 'AAAA', address: new Uint8Array(this.bytes.subarray(this.at, end)) }
      }
      case recordTypes.CNAME:
        return { ...same, type: 'CNAME', target: this.name() }
      case recordTypes.MX:
        return { ...same, type: 'MX', preference: this.u16(), exchange: this.name() }
      case recordTypes.TLSA: {
        if (length < 3) throw new DnsMessageError('a TLSA record is too short')
        const [usage, selector, matching] = [this.u8(), this.u8(), this.u8()]
        return {
          ...same,
          type: 'TLSA',
          tlsa: { usage, selector, matching, data: new Uint8Array(this.bytes.subarray(this.at, end)) },
        }
      }
      default:
        return undefined
    }
  }

  /** In lower case, labels between dots; a dot or backslash within a label comes with a backslash, as in a zone file. */
  private name(): string {
    const labels: string[] = []
    let bytes = 1
    let behind: number | undefined
    let limit = this.at
    for (;;) {
      const length = this.u8()
      if (length === 0) break
      if (length >= 0xc0) {
        const target = (length & 0x3f) * 256 + this.u8()
        // Each pointer must lead to before all that was read, so the name has an end.
        if (target >= limit) throw new DnsMessageError('a name leads into itself')
        behind ??= this.at
        limit = target
        this.at = target
      } else if (length > 63) throw new DnsMessageError('a label is none')
      else {
        bytes += length + 1
        if (bytes > nameBytesMax || this.at + length > this.bytes.length)
          throw new DnsMessageError('a name is too long')
        labels.push(text(this.bytes.subarray(this.at, this.at + length)))
        this.at += length
      }
    }
    if (behind !== undefined) this.at = behind
    return labels.join('.')
  }
}

function text(label: Uint8Array): string {
  return String.fromCharCode(...label)
    .toLowerCase()
    .replace(/[.\\]/g, '\\$&')
}

/** Undefined: too long, or with an empty label. */
function encodeName(name: string): number[] | undefined {
  const labels = name.split('.')
  if (name === '' || labels.some((label) => label.length === 0 || label.length > 63)) return undefined
  const encoded = labels.flatMap((label) => [label.length, ...Array.from(label, (one) => one.charCodeAt(0) & 0xff)])
  return encoded.length + 1 > nameBytesMax ? undefined : [...encoded, 0]
}

function u16(value: number): number[] {
  return [value >> 8, value & 0xff]
}
