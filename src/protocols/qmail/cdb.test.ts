import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { CdbError, CdbReader, CdbWriter } from './cdb.ts'

describe('cdb', () => {
  const bytes = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 20,
  })

  it('gives back what was put in, the first of equal keys, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(bytes, bytes), { maxLength: 60 }), bytes, (records, other) => {
        const writer = new CdbWriter()
        const wanted = new Map<string, string>()
        for (const [key, data] of records) {
          writer.add(key, data)
          if (!wanted.has(key)) wanted.set(key, data)
        }
        const reader = new CdbReader(writer.finish())
        for (const [key, data] of wanted) assert.equal(reader.get(key), data)
        if (!wanted.has(other)) assert.equal(reader.get(other), undefined)
      }),
    )
  })

  it('has the layout of the format: laid out by hand', () => {
    // h("a") = (5381 * 33) ^ 97 = 177573 ^ 97 = 177604 = 0x2b5c4: table 0xc4 = 196, slot (0x2b5 % 2) = 1.
    const hash = 0x2b5c4
    const file = Buffer.alloc(2048 + 8 + 3 + 16)
    for (let table = 0; table < 256; table++) file.writeUInt32LE(table <= 196 ? 2059 : 2075, table * 8)
    file.writeUInt32LE(2, 196 * 8 + 4)
    file.writeUInt32LE(1, 2048)
    file.writeUInt32LE(2, 2052)
    file.write('axy', 2056)
    file.writeUInt32LE(hash, 2059 + 8)
    file.writeUInt32LE(2048, 2059 + 12)
    assert.equal(new CdbReader(file).get('a'), 'xy')
    const writer = new CdbWriter()
    writer.add('a', 'xy')
    assert.deepEqual(writer.finish(), file)
  })

  it('refuses what contradicts itself', () => {
    assert.throws(() => new CdbReader(Buffer.alloc(100)), CdbError)
    assert.throws(() => new CdbReader(Buffer.alloc(4096, 0xff)), CdbError)
    const writer = new CdbWriter()
    writer.add('a', 'xy')
    const file = writer.finish()
    file.writeUInt32LE(1000, 2052)
    assert.throws(() => new CdbReader(file).get('a'), CdbError)
    assert.throws(() => new CdbReader(file.subarray(0, file.length - 1)), CdbError)
  })

  it('never reads outside or for ever, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2048, maxLength: 2300 }), bytes, (noise, key) => {
        // Tables inside the file, so that the lookup is reached.
        const file = Buffer.from(noise)
        for (let table = 0; table < 256; table++) {
          file.writeUInt32LE(2048, table * 8)
          file.writeUInt32LE(Math.floor((file.length - 2048) / 8), table * 8 + 4)
        }
        const reader = new CdbReader(file)
        try {
          reader.get(key)
        } catch (error) {
          assert.ok(error instanceof CdbError)
        }
      }),
    )
  })
})
