/** Input that a dialogue has not looked at yet: cut into lines, or given as it is. */
import type { ByteString } from '../../base/byte-string.ts'

const lf = 10
const nothing: Buffer = Buffer.alloc(0)

export type Line =
  /** Without its LF; a CR before that stays. */
  { readonly kind: 'line'; readonly line: ByteString } | { readonly kind: 'incomplete' } | { readonly kind: 'too-long' }

export class LineInput {
  private bytes: Buffer = nothing

  get length(): number {
    return this.bytes.length
  }

  /** Undefined if there is none. */
  get firstByte(): number | undefined {
    return this.bytes[0]
  }

  push(bytes: Buffer): void {
    this.bytes = this.bytes.length === 0 ? bytes : Buffer.concat([this.bytes, bytes])
  }

  drop(): void {
    this.bytes = nothing
  }

  takeLine(bytesMax: number): Line {
    const end = this.bytes.indexOf(lf)
    if ((end < 0 ? this.bytes.length : end) > bytesMax) return { kind: 'too-long' }
    if (end < 0) return { kind: 'incomplete' }
    const line = this.bytes.toString('latin1', 0, end)
    this.keepFrom(end + 1)
    return { kind: 'line', line }
  }

  /** Hands over all there is; `take` says how much of it was used. */
  takeBytes(take: (bytes: Buffer) => number): void {
    this.keepFrom(take(this.bytes))
  }

  takeAll(): Buffer {
    const { bytes } = this
    this.bytes = nothing
    return bytes
  }

  /** An empty view would keep what it views in memory for as long as the dialogue waits. */
  private keepFrom(at: number): void {
    this.bytes = at < this.bytes.length ? this.bytes.subarray(at) : nothing
  }
}
