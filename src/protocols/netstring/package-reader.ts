/** What a client says by QMTP and by QMQP: netstrings (`5:bytes,`). A QMTP package is a message, a sender, and a netstring of
 *  recipients, each a netstring; a QMQP request is one netstring of a message, a sender and recipients. Fed with bytes cut
 *  anywhere; the content is passed on as it comes.
 *  Knows:  the limits on lengths, and which addresses no queue can hold.
 *  Fails:  `fault` says what is no netstring; nothing is read after it. */
import type { ByteString } from '../../base/byte-string.ts'

export type Form = 'qmtp' | 'qmqp'

export interface PackageLimits {
  /** Of one netstring, as qmail has it. */
  readonly bytesMax: number
  readonly addressBytesMax: number
  readonly recipientsMax: number
}

/** Undefined in the place of an address that cannot be taken: too long, or with a NUL or a line end. */
export type Named = ByteString | undefined

const [colon, comma, zero, nine, lf, cr] = [58, 44, 48, 57, 10, 13]

type Step = 'length' | 'bytes' | 'comma' | 'end'
type Part = 'whole' | 'message' | 'sender' | 'recipients' | 'recipient'

export class PackageReader {
  readonly recipients: Named[] = []
  sender: Named
  /** Of content, decoded. */
  contentBytes = 0
  fault: string | undefined
  /** The package is over; what follows is another. */
  isOver = false
  private readonly form: Form
  private readonly limits: PackageLimits
  private readonly onContent: (bytes: Buffer) => void
  private step: Step = 'length'
  private part: Part
  private length = 0
  private digits = 0
  /** Of the netstring that is being read. */
  private left = 0
  /** Of the netstring around it; undefined outside of one. */
  private around: number | undefined
  private address = ''
  private isBad = false
  /** Lines end in CR LF (QMTP, by the first byte). */
  private isCrlf = false
  private isFirstByte = true
  private heldCr = false

  constructor(form: Form, limits: PackageLimits, onContent: (bytes: Buffer) => void) {
    this.form = form
    this.limits = limits
    this.onContent = onContent
    this.part = form === 'qmqp' ? 'whole' : 'message'
  }

  /** Something of a package has come. */
  get hasBegun(): boolean {
    return this.digits > 0 || this.step !== 'length' || this.part !== (this.form === 'qmqp' ? 'whole' : 'message')
  }

  /** Where it stopped: at the end of the chunk, of the package, or at what is none. */
  push(chunk: Buffer): number {
    let at = 0
    while (at < chunk.length && !this.isOver && this.fault === undefined) {
      if (this.step === 'bytes') at += this.takeBytes(chunk.subarray(at))
      else this.takeByte(chunk[at++] ?? 0)
    }
    return at
  }

  private takeByte(byte: number): void {
    // The netstring around this one ends only where one in it has ended.
    if (this.step !== 'end' && this.around !== undefined && --this.around < 0)
      return this.fail('one is longer than what it is in')
    if (this.step === 'length') return this.takeDigit(byte)
    if (byte !== comma) return this.fail('no comma at the end of one')
    if (this.step === 'end') this.isOver = true
    else this.endOf(this.part)
  }

  private takeDigit(byte: number): void {
    if (byte === colon && this.digits > 0) return this.begin()
    if (byte < zero || byte > nine) return this.fail('a length that is no number')
    this.length = this.length * 10 + byte - zero
    this.digits++
    if (this.length > this.limits.bytesMax || this.digits > 10) this.fail('too long')
  }

  /** The length of one has been read. */
  private begin(): void {
    const { length } = this
    this.length = 0
    this.digits = 0
    if (this.around !== undefined && length > this.around) return this.fail('one is longer than what it is in')
    if (this.part === 'whole') {
      this.around = length
      this.part = 'message'
      return
    }
    if (this.part === 'recipients') {
      this.around = length
      this.part = 'recipient'
      if (length === 0) this.step = 'end'
      return
    }
    if (this.part === 'message' && this.form === 'qmtp' && length === 0)
      return this.fail('a message without its first byte')
    this.left = length
    this.address = ''
    this.isBad = false
    this.step = length === 0 ? 'comma' : 'bytes'
  }

  private takeBytes(chunk: Buffer): number {
    const bytes = chunk.subarray(0, this.left)
    this.left -= bytes.length
    if (this.around !== undefined) this.around -= bytes.length
    if (this.part === 'message') this.takeContent(bytes)
    else if (this.address.length + bytes.length <= this.limits.addressBytesMax) this.address += bytes.toString('latin1')
    else this.isBad = true
    if (this.left === 0) this.step = 'comma'
    return bytes.length
  }

  private endOf(part: Part): void {
    this.step = 'length'
    if (part === 'message') {
      if (this.heldCr) this.give(Buffer.from('\r'))
      this.part = 'sender'
      return
    }
    const named = this.isBad || /[\0\r\n]/.test(this.address) ? undefined : this.address
    if (part === 'sender') {
      this.sender = named
      this.part = this.form === 'qmtp' ? 'recipients' : 'recipient'
    } else {
      this.recipients.push(named)
      if (this.recipients.length > this.limits.recipientsMax) return this.fail('too many recipients')
    }
    if (this.around === 0) this.step = 'end'
  }

  private takeContent(bytes: Buffer): void {
    let rest = bytes
    if (this.form === 'qmtp' && this.isFirstByte) {
      this.isFirstByte = false
      if (bytes[0] !== lf && bytes[0] !== cr) return this.fail('an unknown form of lines')
      this.isCrlf = bytes[0] === cr
      rest = bytes.subarray(1)
    }
    if (rest.length > 0) this.give(this.isCrlf ? this.withoutCr(rest) : rest)
  }

  /** CR LF becomes LF; a CR alone stays. */
  private withoutCr(bytes: Buffer): Buffer {
    const whole = this.heldCr ? Buffer.concat([Buffer.from('\r'), bytes]) : bytes
    this.heldCr = whole.at(-1) === cr
    const text = whole.toString('latin1', 0, this.heldCr ? whole.length - 1 : whole.length)
    return Buffer.from(text.replaceAll('\r\n', '\n'), 'latin1')
  }

  private give(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.contentBytes += bytes.length
    this.onContent(bytes)
  }

  private fail(fault: string): void {
    this.fault = `no netstring: ${fault}`
  }
}

export function netstring(text: ByteString): ByteString {
  return `${text.length}:${text},`
}
