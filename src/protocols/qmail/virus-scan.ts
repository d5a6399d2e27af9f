/** Looks for control/signatures at the start of every MIME part (qmail-qfilter-viruscan): the first line of a part's
 *  body that is not empty is compared with each signature as a prefix.
 *  Knows:  multiparts, messages inside messages, and the copies in qmail's and Exim's bounces.
 *  Never:  decodes; keeps more than one line, cut, and the boundaries.
 *  Fails:  content that is not MIME at all is one part. */
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'

const lineBytesMax = 1024
const boundariesMax = 100
/** Of one content-type field with its continuations. */
const fieldBytesMax = 4096

/** After such a line a bounce goes on with the header of the message that came back. */
const bounceLines: readonly ByteString[] = [
  '--- Below this line is a copy of the message.',
  '--- Enclosed are the original headers of the message.',
  '------ This is a copy of the message, including all the headers. ------',
]

type Place = 'header' | 'first-line' | 'body'

export class VirusScan {
  private readonly signatures: readonly ByteString[]
  private readonly boundaries: ByteString[] = []
  private place: Place = 'header'
  private field = ''
  private isMessage = false
  private partial = ''
  private overlong = false
  /** Bounces put empty lines between their own text and the header that came back. */
  private skipsEmpty = false
  private found: ByteString | undefined

  constructor(signatures: readonly ByteString[]) {
    this.signatures = signatures.map((signature) => signature.slice(0, lineBytesMax))
  }

  push(chunk: Buffer): void {
    let start = 0
    while (this.found === undefined && start < chunk.length) {
      const end = chunk.indexOf(10, start)
      const stop = end < 0 ? chunk.length : end
      this.keep(chunk.subarray(start, stop))
      if (end < 0) return
      this.line(this.partial.endsWith('\r') ? this.partial.slice(0, -1) : this.partial)
      this.partial = ''
      this.overlong = false
      start = end + 1
    }
  }

  /** The signature that was found; call it after the last chunk. */
  match(): ByteString | undefined {
    if (this.found === undefined && this.partial !== '') this.line(this.partial)
    this.partial = ''
    return this.found
  }

  private keep(bytes: Buffer): void {
    if (this.overlong) return
    this.partial += fromBuffer(bytes.subarray(0, lineBytesMax - this.partial.length))
    this.overlong = this.partial.length >= lineBytesMax
  }

  private line(line: ByteString): void {
    if (this.place === 'header') return this.headerLine(line)
    if (line.startsWith('--') && this.startsPart(line)) return
    if (bounceLines.includes(line)) {
      this.startHeader()
      this.skipsEmpty = true
      return
    }
    if (this.place !== 'first-line' || line === '') return
    this.place = 'body'
    this.found = this.signatures.find((signature) => line.startsWith(signature))
  }

  private headerLine(line: ByteString): void {
    if (line === '' && this.skipsEmpty) return
    this.skipsEmpty = false
    if (line === '') {
      this.endField()
      this.place = this.isMessage ? 'header' : 'first-line'
      this.isMessage = false
      return
    }
    if (line.startsWith(' ') || line.startsWith('\t')) {
      this.field += line.slice(0, fieldBytesMax - this.field.length)
      return
    }
    this.endField()
    // A boundary may come before the empty line that should end the header.
    if (line.startsWith('--') && this.startsPart(line)) return
    this.field = line
  }

  private endField(): void {
    const field = this.field
    this.field = ''
    if (!/^content-type[ \t]*:/i.test(field.slice(0, 64))) return
    const value = field.slice(field.indexOf(':') + 1).trimStart()
    this.isMessage = /^message\/rfc822/i.test(value)
    const boundary = boundaryOf(value)
    if (boundary !== undefined && boundary !== '' && this.boundaries.length < boundariesMax) {
      this.boundaries.push(boundary)
    }
  }

  private startsPart(line: ByteString): boolean {
    if (!this.boundaries.some((boundary) => line.startsWith(boundary, 2))) return false
    this.startHeader()
    return true
  }

  private startHeader(): void {
    this.place = 'header'
    this.field = ''
    this.isMessage = false
  }
}

function boundaryOf(value: ByteString): ByteString | undefined {
  const at = value.toLowerCase().indexOf('boundary=')
  if (at < 0) return undefined
  const rest = value.slice(at + 'boundary='.length)
  if (rest.startsWith('"')) {
    const end = rest.indexOf('"', 1)
    return rest.slice(1, end < 0 ? undefined : end)
  }
  return /^[^ \t;]{0,1024}/.exec(rest)?.[0]
}
