/** A message that comes in pieces, cut at the first empty line (RFC 5322 §2.1): as verifiers and signers see it, to the byte.
 *  For what people and scripts write, header.ts is more forgiving.
 *  Never:  holds more than the header. */
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'

const lineFeed = 10

export interface HeaderAndBodySink {
  /** As it came, lines ended by LF, without the empty line. Once, before any of the body. */
  header(text: ByteString): void
  /** Pieces of the body, as they come: views that may not be kept. */
  body(bytes: Buffer): void
}

export class HeaderAndBody {
  private readonly sink: HeaderAndBodySink
  private header: ByteString | undefined = ''

  constructor(sink: HeaderAndBodySink) {
    this.sink = sink
  }

  /** Of the header, so far; undefined if it is over. */
  get headerBytes(): number | undefined {
    return this.header?.length
  }

  push(bytes: Buffer): void {
    if (this.header === undefined) return this.sink.body(bytes)
    const bodyAt = endOfHeader(bytes, this.header)
    if (bodyAt === undefined) {
      this.header += fromBuffer(bytes)
      return
    }
    this.endHeader(this.header + fromBuffer(bytes.subarray(0, bodyAt - 1)))
    if (bodyAt < bytes.length) this.sink.body(bytes.subarray(bodyAt))
  }

  /** A message without an empty line is all header. */
  end(): void {
    if (this.header !== undefined) this.endHeader(this.header)
  }

  private endHeader(header: ByteString): void {
    this.header = undefined
    this.sink.header(header)
  }
}

/** Where the body begins: after an LF that follows an LF, or that nothing stands before. */
function endOfHeader(bytes: Buffer, before: ByteString): number | undefined {
  if (bytes[0] === lineFeed && (before === '' || before.endsWith('\n'))) return 1
  const at = bytes.indexOf('\n\n')
  return at < 0 ? undefined : at + 2
}
