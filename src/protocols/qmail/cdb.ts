/** The constant database of users/cdb, morercpthosts.cdb and tcprules: 256 header pairs (table position, slots), records
 *  (key length, data length, key, data), hash tables of (hash, record position); all numbers u32 little-endian.
 *  Knows:  the format, over bytes at hand.
 *  Fails:  inconsistent bytes throw CdbError; a file written by us or by qmail never does. */
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'

const tables = 256
const headerBytes = tables * 8
/** Positions are u32. */
const fileBytesMax = 0xffff_ffff

export class CdbError extends Error {
  override name = 'CdbError'
}

export class CdbReader {
  private readonly bytes: Buffer

  constructor(bytes: Buffer) {
    if (bytes.length < headerBytes) throw new CdbError(`cdb of ${bytes.length} bytes: shorter than its header`)
    for (let table = 0; table < tables; table++) {
      const position = bytes.readUInt32LE(table * 8)
      const slots = bytes.readUInt32LE(table * 8 + 4)
      if (position < headerBytes || position + slots * 8 > bytes.length)
        throw new CdbError(`cdb hash table ${table} lies outside the file`)
    }
    this.bytes = bytes
  }

  /** The data of the first record that was added under this key. */
  get(key: ByteString): ByteString | undefined {
    const wanted = toBuffer(key)
    const hash = hashOf(wanted)
    const header = (hash & 0xff) * 8
    const position = this.bytes.readUInt32LE(header)
    const slots = this.bytes.readUInt32LE(header + 4)
    for (let tried = 0; tried < slots; tried++) {
      const slot = position + (((hash >>> 8) + tried) % slots) * 8
      const record = this.bytes.readUInt32LE(slot + 4)
      if (record === 0) return undefined
      if (this.bytes.readUInt32LE(slot) !== hash) continue
      const data = this.dataIfKey(record, wanted)
      if (data !== undefined) return data
    }
    return undefined
  }

  /** Of every record, in the order in which they were added. */
  *keys(): Generator<ByteString> {
    let end = this.bytes.length
    for (let table = 0; table < tables; table++) end = Math.min(end, this.bytes.readUInt32LE(table * 8))
    for (let record = headerBytes; record + 8 <= end; ) {
      const keyEnd = record + 8 + this.bytes.readUInt32LE(record)
      const next = keyEnd + this.bytes.readUInt32LE(record + 4)
      if (next > end) throw new CdbError('cdb record lies outside the file')
      yield fromBuffer(this.bytes.subarray(record + 8, keyEnd))
      record = next
    }
  }

  private dataIfKey(record: number, wanted: Buffer): ByteString | undefined {
    if (record + 8 > this.bytes.length) throw new CdbError('cdb record lies outside the file')
    const keyEnd = record + 8 + this.bytes.readUInt32LE(record)
    const dataEnd = keyEnd + this.bytes.readUInt32LE(record + 4)
    if (dataEnd > this.bytes.length) throw new CdbError('cdb record lies outside the file')
    if (!this.bytes.subarray(record + 8, keyEnd).equals(wanted)) return undefined
    return fromBuffer(this.bytes.subarray(keyEnd, dataEnd))
  }
}

interface Entry {
  readonly hash: number
  readonly position: number
}

export class CdbWriter {
  private readonly records: Buffer[] = []
  private readonly entries: Entry[][] = Array.from({ length: tables }, () => [])
  private position = headerBytes

  /** Of equal keys, the one added first is found. */
  add(key: ByteString, data: ByteString): void {
    const keyBytes = toBuffer(key)
    const lengths = Buffer.alloc(8)
    lengths.writeUInt32LE(keyBytes.length, 0)
    lengths.writeUInt32LE(data.length, 4)
    this.records.push(lengths, keyBytes, toBuffer(data))
    const hash = hashOf(keyBytes)
    this.entries[hash & 0xff]?.push({ hash, position: this.position })
    this.position += 8 + keyBytes.length + data.length
    if (this.position > fileBytesMax) throw new CdbError('cdb over 4 GiB')
  }

  /** The whole file. */
  finish(): Buffer {
    const header = Buffer.alloc(headerBytes)
    const hashTables: Buffer[] = []
    let position = this.position
    for (const [table, entries] of this.entries.entries()) {
      const bytes = hashTable(entries)
      header.writeUInt32LE(position, table * 8)
      header.writeUInt32LE(entries.length * 2, table * 8 + 4)
      hashTables.push(bytes)
      position += bytes.length
    }
    if (position > fileBytesMax) throw new CdbError('cdb over 4 GiB')
    return Buffer.concat([header, ...this.records, ...hashTables])
  }
}

/** Twice as many slots as entries, linear probing. */
function hashTable(entries: readonly Entry[]): Buffer {
  const slots = entries.length * 2
  const bytes = Buffer.alloc(slots * 8)
  for (const { hash, position } of entries) {
    let slot = (hash >>> 8) % slots
    while (bytes.readUInt32LE(slot * 8 + 4) !== 0) slot = (slot + 1) % slots
    bytes.writeUInt32LE(hash, slot * 8)
    bytes.writeUInt32LE(position, slot * 8 + 4)
  }
  return bytes
}

function hashOf(key: Buffer): number {
  let hash = 5381
  for (const byte of key) hash = ((hash + (hash << 5)) ^ byte) >>> 0
  return hash
}
