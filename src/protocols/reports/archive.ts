/** How a report is packed: by its first bytes, since media types and file names may be wrong. Of a ZIP archive, its file.
 *  Knows:  where the compressed bytes are. Never: unpacks them.
 *  Fails:  throws ReportError for an archive that is broken, encrypted or of a kind that is not in use. */
import { ReportError } from './report-error.ts'

export interface Packed {
  readonly by: 'nothing' | 'gzip' | 'deflate'
  readonly bytes: Uint8Array
}

const entriesMax = 100
/** Sizes of the fixed parts; what follows them has lengths that they give. */
const endBytes = 22
const centralBytes = 46
const localBytes = 30
const commentBytesMax = 65_535

export function packed(bytes: Uint8Array): Packed {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return { by: 'gzip', bytes: withoutLineEnd(bytes) }
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return fileInZip(bytes)
  return { by: 'nothing', bytes }
}

/** Some senders put a line end after the last byte. The true last byte is the highest of a length (RFC 1952 §2.3.1): a line
 *  end there would mean a file of 160 MB. */
function withoutLineEnd(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d) end--
  return bytes.subarray(0, end)
}

interface Entry {
  readonly name: string
  readonly flags: number
  readonly method: number
  readonly packedBytes: number
  readonly at: number
}

/** APPNOTE 4.3: what the central directory says counts, as local headers may leave sizes out. */
function fileInZip(bytes: Uint8Array): Packed {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const entries = centralEntries(bytes, view).filter(({ name }) => !name.endsWith('/'))
  const entry = entries.find(({ name }) => /\.(?:xml|json)$/i.test(name)) ?? entries[0]
  if (entry === undefined) throw new ReportError('the ZIP archive is empty')
  const { flags, method, packedBytes, at } = entry
  if ((flags & 1) !== 0) throw new ReportError('the ZIP archive is encrypted')
  if (at + localBytes > bytes.length || view.getUint32(at, true) !== 0x04034b50) throw broken()
  const from = at + localBytes + view.getUint16(at + 26, true) + view.getUint16(at + 28, true)
  if (from + packedBytes > bytes.length) throw broken()
  const content = bytes.subarray(from, from + packedBytes)
  if (method === 0) return { by: 'nothing', bytes: content }
  if (method === 8) return { by: 'deflate', bytes: content }
  throw new ReportError(`the ZIP archive is packed by method ${method}; 0 and 8 are read`)
}

function centralEntries(bytes: Uint8Array, view: DataView): Entry[] {
  const end = endRecordAt(view)
  const count = view.getUint16(end + 10, true)
  if (count > entriesMax) throw new ReportError(`the ZIP archive holds ${count} files; a report is one`)
  const entries: Entry[] = []
  let at = view.getUint32(end + 16, true)
  for (let left = count; left > 0; left--) {
    if (at + centralBytes > bytes.length || view.getUint32(at, true) !== 0x02014b50) throw broken()
    const nameBytes = view.getUint16(at + 28, true)
    const name = bytes.subarray(at + centralBytes, at + centralBytes + nameBytes)
    entries.push({
      name: String.fromCharCode(...name.subarray(0, 1000)),
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      packedBytes: view.getUint32(at + 20, true),
      at: view.getUint32(at + 42, true),
    })
    at += centralBytes + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
  }
  return entries
}

/** It is the last thing, before a comment. */
function endRecordAt(view: DataView): number {
  const lowest = Math.max(0, view.byteLength - endBytes - commentBytesMax)
  for (let at = view.byteLength - endBytes; at >= lowest; at--) if (view.getUint32(at, true) === 0x06054b50) return at
  throw broken()
}

function broken(): ReportError {
  return new ReportError('the ZIP archive is broken')
}
