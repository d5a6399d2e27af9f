/** Fields inside a frame's payload: integers big-endian, byte strings with a u32 length before them.
 *  Fails:  a field that runs past the payload, or over its limit, throws ContractError. */
import type { ByteString } from '../base/byte-string.ts'
import { ContractError } from './frame.ts'

export class FieldWriter {
  private readonly parts: Buffer[] = []

  u8(value: number): this {
    this.parts.push(Buffer.of(value))
    return this
  }
  u16(value: number): this {
    const part = Buffer.allocUnsafe(2)
    part.writeUInt16BE(value)
    this.parts.push(part)
    return this
  }
  u32(value: number): this {
    const part = Buffer.allocUnsafe(4)
    part.writeUInt32BE(value)
    this.parts.push(part)
    return this
  }
  /** Whole numbers up to Number.MAX_SAFE_INTEGER. */
  u64(value: number): this {
    const part = Buffer.allocUnsafe(8)
    part.writeBigUInt64BE(BigInt(value))
    this.parts.push(part)
    return this
  }
  string(value: ByteString): this {
    this.u32(value.length)
    this.parts.push(Buffer.from(value, 'latin1'))
    return this
  }
  /** The rest of the payload: no length before it, so it comes last. */
  rest(value: Uint8Array): this {
    this.parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
    return this
  }
  strings(values: readonly ByteString[]): this {
    this.u32(values.length)
    for (const value of values) this.string(value)
    return this
  }
  end(): Buffer[] {
    return this.parts
  }
}

export class FieldReader {
  private at = 0
  private readonly payload: Buffer

  constructor(payload: Buffer) {
    this.payload = payload
  }
  u8(): number {
    return this.take(1)[0] ?? 0
  }
  u16(): number {
    return this.take(2).readUInt16BE()
  }
  u32(): number {
    return this.take(4).readUInt32BE()
  }
  u64(): number {
    const value = this.take(8).readBigUInt64BE()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ContractError('number over 2^53')
    return Number(value)
  }
  string(bytesMax: number): ByteString {
    const length = this.u32()
    if (length > bytesMax) throw new ContractError(`field of ${length} bytes, limit ${bytesMax}`)
    return this.take(length).toString('latin1')
  }
  strings(countMax: number, bytesMax: number): ByteString[] {
    const count = this.u32()
    if (count > countMax) throw new ContractError(`${count} fields, limit ${countMax}`)
    const values: ByteString[] = []
    for (let n = 0; n < count; n++) values.push(this.string(bytesMax))
    return values
  }
  rest(): Buffer {
    const rest = this.payload.subarray(this.at)
    this.at = this.payload.length
    return rest
  }
  /** Call when all fields are read: bytes left over mean that the two programs do not agree. */
  end(): void {
    if (this.at !== this.payload.length) throw new ContractError(`${this.payload.length - this.at} bytes too many`)
  }

  private take(bytes: number): Buffer {
    if (this.at + bytes > this.payload.length) throw new ContractError('payload too short')
    const part = this.payload.subarray(this.at, this.at + bytes)
    this.at += bytes
    return part
  }
}

/** The text that a byte stands for. */
export function choice<T extends string>(fields: FieldReader, choices: readonly T[]): T {
  const chosen = choices[fields.u8()]
  if (chosen === undefined) throw new ContractError('unknown choice')
  return chosen
}
