import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { arrivalInName, bytesInName, nameInCur, uniqueId, uniquePart } from './name.ts'

const ours = '1796299346.M106000P5872Q1R0da5dc93e9bd1677'

describe('name in a Maildir', () => {
  it('says when the message came and how large it is', () => {
    assert.deepEqual(arrivalInName(`${ours}.vm,S=546:2,S`), { seconds: 1796299346, microseconds: 106000 })
    assert.deepEqual(arrivalInName('1286000000.12345.mail.example.org'), { seconds: 1286000000, microseconds: 0 })
    assert.deepEqual(arrivalInName('1286000000.V801I4a3bM12345.h'), { seconds: 1286000000, microseconds: 0 })
    assert.deepEqual(arrivalInName('1286000000.M1234567.h'), { seconds: 1286000000, microseconds: 0 })
    for (const name of ['100.1.h', '12860000001.1.h', 'x1286000000.1.h', '1286000000', '-1286000000.1.h'])
      assert.equal(arrivalInName(name), undefined)
    assert.equal(bytesInName(`${ours}.vm,S=546:2,S`), 546)
    assert.equal(bytesInName('1.2.h,W=600,S=5'), 5)
    for (const name of [`${ours}.vm`, '1.2.h,S=', '1.2.h,S=5x', '1.2.h:2,S=5x', `1.2.h,S=${'9'.repeat(16)}`])
      assert.equal(bytesInName(name), undefined)
  })

  it('keeps its flags in cur/, or gets none', () => {
    assert.equal(nameInCur('1.2.h'), '1.2.h:2,')
    assert.equal(nameInCur('1.2.h:2,S'), '1.2.h:2,S')
  })
})

describe('unique-id', () => {
  const digest = (): string => 'digest'

  it('is the name up to its flags', () => {
    assert.equal(uniquePart('1.2.h:2,S'), '1.2.h')
    assert.equal(uniqueId('1.2.h,S=5:2,S', digest), '1.2.h,S=5')
    assert.equal(uniqueId(`${ours}.mail.example.org,S=546`, digest), `${ours}.mail.example.org,S=546`)
  })

  it('is never longer than 70 bytes for a name of ours', () => {
    assert.equal(uniqueId(`${ours}.a-rather-long-name.of-a-host.example.org,S=5460000:2,S`, digest), ours)
  })

  it('is the whole name for a long one of another writer, as clients of a qmail site know it', () => {
    const name = `1286000000.12345.${'a'.repeat(60)}`
    assert.equal(uniqueId(name, digest), name)
  })

  it('is a digest where the name has bytes that a line cannot carry', () => {
    for (const name of ['a b', 'a\tb', 'a\r\nb', 'a\x7f', 'caf\xe9', '']) assert.equal(uniqueId(name, digest), 'digest')
  })
})
