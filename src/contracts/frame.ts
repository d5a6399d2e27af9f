/** The frame in which our programs talk: u32 big-endian length of what follows, u8 type, payload.
 *  Knows:  framing and the limit on a frame.
 *  Never:  what a type means; that is each contract's own.
 *  Fails:  a frame over the limit, or of length zero, is the other program's bug or malice: `push` throws ContractError
 *          and the caller closes the connection. */

/** An envelope of 1000 recipients of 1000 bytes and 64 KiB of content fit. */
export const frameBytesMax: number = 2 * 1024 * 1024
const headerBytes = 5
/** Smaller pieces of a frame are joined as they arrive: a Buffer for each byte would cost a hundred times as
 *  much. */
const pieceBytesMin = 4096

export class ContractError extends Error {
  override name = 'ContractError'
}

export interface Frame {
  readonly type: number
  /** A view into the bytes received: copy what must outlive the handler. */
  readonly payload: Buffer
}

export function encodeFrame(type: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 1
  for (const part of parts) length += part.byteLength
  if (length > frameBytesMax) throw new ContractError(`frame of ${length} bytes, limit ${frameBytesMax}`)
  const frame = Buffer.allocUnsafe(4 + length)
  frame.writeUInt32BE(length, 0)
  frame.writeUInt8(type, 4)
  let at = headerBytes
  for (const part of parts) {
    frame.set(part, at)
    at += part.byteLength
  }
  return frame
}

/** Cuts a byte stream into frames. Whole frames inside one chunk are not copied. */
export class FrameReader {
  private pending: Buffer[] = []
  private pendingBytes = 0
  private neededBytes = headerBytes
  private readonly bytesMax: number

  /** `bytesMax`: of a frame, where the contract needs less than others. */
  constructor(bytesMax: number = frameBytesMax) {
    this.bytesMax = bytesMax
  }

  /** A frame has begun and is not complete. */
  get hasPart(): boolean {
    return this.pendingBytes > 0
  }

  /** Bytes of the unfinished frame. */
  get partBytes(): number {
    return this.pendingBytes
  }

  /** Calls `handle` for every frame completed by this chunk, in order. */
  push(chunk: Buffer, handle: (frame: Frame) => void): void {
    let input = chunk
    if (this.pendingBytes > 0) {
      this.gather(chunk)
      if (this.pendingBytes < this.neededBytes) return
      input = Buffer.concat(this.pending, this.pendingBytes)
      this.pending = []
      this.pendingBytes = 0
    }
    let at = 0
    for (;;) {
      const available = input.length - at
      if (available < headerBytes) {
        this.keep(input, at, headerBytes)
        return
      }
      const length = input.readUInt32BE(at)
      if (length < 1 || length > this.bytesMax) throw new ContractError(`frame of ${length} bytes`)
      if (available < 4 + length) {
        this.keep(input, at, 4 + length)
        return
      }
      handle({ type: input[at + 4] ?? 0, payload: input.subarray(at + headerBytes, at + 4 + length) })
      at += 4 + length
    }
  }

  private gather(chunk: Buffer): void {
    this.pendingBytes += chunk.length
    const last = this.pending.at(-1)
    if (last !== undefined && last.length < pieceBytesMin && chunk.length < pieceBytesMin)
      this.pending[this.pending.length - 1] = Buffer.concat([last, chunk])
    else this.pending.push(chunk)
  }

  private keep(input: Buffer, at: number, neededBytes: number): void {
    this.neededBytes = neededBytes
    if (at === input.length) return
    this.pending.push(at === 0 ? input : input.subarray(at))
    this.pendingBytes = input.length - at
  }
}
