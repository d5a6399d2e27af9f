/** Unpacks piece by piece, so that a bomb costs what has been unpacked when it is noticed, and no more.
 *  Fails:  throws UnpackError beyond the limits, and for bytes that are not what they claim to be. */
import { createGunzip, createInflateRaw } from 'node:zlib'
import { describeError } from '../base/outcome.ts'

export class UnpackError extends Error {
  override name = 'UnpackError'
}

export interface UnpackLimits {
  /** Unpacked. */
  readonly bytesMax: number
  /** Unpacked by packed. */
  readonly ratioMax: number
}

/** Below this size any ratio is allowed. */
const smallBytes: number = 1024 * 1024

export async function* unpacked(
  { by, bytes }: { readonly by: 'nothing' | 'gzip' | 'deflate'; readonly bytes: Uint8Array },
  { bytesMax, ratioMax }: UnpackLimits,
): AsyncGenerator<Buffer> {
  const most = Math.min(bytesMax, Math.max(smallBytes, bytes.length * ratioMax))
  const tooMuch = (): UnpackError => new UnpackError(`it unpacks to more than ${most} bytes`)
  if (by === 'nothing') {
    if (bytes.length > bytesMax) throw tooMuch()
    yield Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return
  }
  const stream = by === 'gzip' ? createGunzip() : createInflateRaw()
  stream.end(bytes)
  let count = 0
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      count += chunk.length
      if (count > most) throw tooMuch()
      yield chunk
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_'))
      throw new UnpackError(`it cannot be unpacked: ${describeError(error)}`)
    throw error
  } finally {
    stream.destroy()
  }
}
