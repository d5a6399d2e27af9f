/** Reads along while a message is handed in, for what has to be known of it before it is committed: has it travelled, who is
 *  its author, what is signed.
 *  Never:  holds more than a header. */
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { RunningBodyDigest } from '../../clients/policy/body-digests.ts'
import { type HeaderField, headerFields, valueOf } from '../../protocols/dkim/header-fields.ts'
import { HeaderAndBody } from '../../protocols/rfc822/header-and-body.ts'

/** Of a longer header its beginning says enough: trace fields stand on top, and it is not signed. */
const headerBytesMax: number = 1024 * 1024

export interface ReadMessage {
  /** With what was put on top of it. */
  readonly header: ByteString
  readonly hasTravelled: boolean
  /** Of the body after `relaxed`; empty if nobody asked for it. */
  readonly bodySha256: ByteString
}

export class MessageReader {
  private readonly digest: RunningBodyDigest | undefined
  private readonly message: HeaderAndBody
  private header = ''

  constructor(isForSigning: boolean) {
    this.digest = isForSigning ? new RunningBodyDigest('relaxed') : undefined
    this.message = new HeaderAndBody({
      header: (text) => {
        this.header = text
      },
      body: (bytes) => this.digest?.push(fromBuffer(bytes)),
    })
  }

  push(bytes: Buffer): void {
    if ((this.message.headerBytes ?? 0) <= headerBytesMax) this.message.push(bytes)
  }

  /** Of a message with this head. Once, behind the last byte. */
  finish(head: ByteString): ReadMessage {
    this.message.end()
    return {
      header: head + this.header,
      hasTravelled: hasTravelled(headerFields(this.header), headerFields(head)),
      bodySha256: this.digest?.finish().sha256 ?? '',
    }
  }
}

/** Somebody has received it before: a forward, or a message that was fetched elsewhere. What is handed in on the machine
 *  carries no other word of it than its header. `above`: what was put on top of its own fields. A list's `Delivered-To:
 *  mailing list …` is its own mark on new mail. */
function hasTravelled(own: readonly HeaderField[], above: readonly HeaderField[]): boolean {
  const isDelivered = (field: HeaderField): boolean =>
    field.name === 'delivered-to' && /^[^ \t]+$/.test(valueOf(field).trim())
  return own.some((field) => field.name === 'received' || isDelivered(field)) || above.some(isDelivered)
}
