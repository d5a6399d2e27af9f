/** Input that a session has not looked at yet: cut into lines, or given as it is while content comes. */
import type { ByteString } from '../../base/byte-string.ts'
import { isBinaryByte } from '../../protocols/smtp/command.ts'
import { replies, type Reply } from '../../protocols/smtp/replies.ts'

const lf = 10
const nothing: Buffer = Buffer.alloc(0)

export type TakenLine =
  | { readonly kind: 'line'; readonly line: ByteString }
  | { readonly kind: 'incomplete' }
  /** Nobody speaks SMTP there: the session ends with this reply. */
  | { readonly kind: 'hopeless'; readonly check: string; readonly reply: Reply }

export class Input {
  private bytes: Buffer = nothing

  get length(): number {
    return this.bytes.length
  }

  push(bytes: Buffer): void {
    this.bytes = this.bytes.length === 0 ? bytes : Buffer.concat([this.bytes, bytes])
  }

  drop(): void {
    this.bytes = nothing
  }

  /** Without its LF. */
  takeLine(bytesMax: number): TakenLine {
    const end = this.bytes.indexOf(lf)
    if ((end < 0 ? this.bytes.length : end) > bytesMax)
      return { kind: 'hopeless', check: 'line-too-long', reply: replies.lineTooLong }
    // A TLS ClientHello or other binary protocol would not send an LF for us to wait for.
    if (isBinaryByte(this.bytes[0] ?? 0)) return { kind: 'hopeless', check: 'not-smtp', reply: replies.unimplemented }
    if (end < 0) return { kind: 'incomplete' }
    const line = this.bytes.toString('latin1', 0, end)
    this.keepFrom(end + 1)
    return { kind: 'line', line }
  }

  /** Hands over all there is; `take` says how much of it was used. */
  takeBytes(take: (bytes: Buffer) => number): void {
    this.keepFrom(take(this.bytes))
  }

  /** An empty view would keep what it views in memory for as long as the session waits. */
  private keepFrom(at: number): void {
    this.bytes = at < this.bytes.length ? this.bytes.subarray(at) : nothing
  }
}
