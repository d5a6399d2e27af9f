/** Loop check, mbox form, reports: what is done to and said about a message. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { headerHasLine } from './loop-check.ts'
import { MboxQuoter } from './mbox-format.ts'
import { programVerdict } from './program-exit.ts'
import { delivered, toldByLspawn } from './delivery-status.ts'

function cut(text: string, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  let at = 0
  for (const size of sizes) {
    chunks.push(Buffer.from(text.slice(at, at + size), 'latin1'))
    at += size
  }
  return [...chunks, Buffer.from(text.slice(at), 'latin1')]
}

const sizes = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 30 })

describe('mbox form', () => {
  const quoted = (chunks: readonly Buffer[]): string => {
    const quoter = new MboxQuoter()
    const pieces = chunks.flatMap((chunk) => quoter.push(chunk))
    return Buffer.concat([...pieces, ...quoter.end()]).toString('latin1')
  }

  it('is the same however the message is cut', () => {
    const words = fc.constantFrom('From ', 'From', '>', '\n', 'Fro', 'm ', 'x', ' ', 'FFrom ', '>>From ')
    fc.assert(
      fc.property(fc.array(words, { maxLength: 30 }), sizes, (parts, cuts) => {
        const text = parts.join('')
        const lines = text.replace(/^(>*From )/gm, '>$1')
        assert.equal(quoted(cut(text, cuts)), text === '' || text.endsWith('\n') ? `${lines}\n` : `${lines}\n\n`)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('loop check', () => {
  const line = 'Delivered-To: joe@x\n'

  it('finds the line in the header only, however the message is cut', () => {
    const words = fc.constantFrom(
      'Delivered-To: joe@x\n',
      'Delivered-To: joe@x',
      '\n',
      'A: b\n',
      'delivered-to: joe@x\n',
      ' ',
    )
    fc.assert(
      fc.property(fc.array(words, { maxLength: 12 }), sizes, (parts, cuts) => {
        const text = parts.join('')
        const lines = text.split(/(?<=\n)/)
        const end = lines.indexOf('\n')
        const expected = (end < 0 ? lines : lines.slice(0, end)).includes(line)
        assert.equal(headerHasLine(cut(text, cuts), line), expected)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('reports', () => {
  it('are cut as qmail cuts them', () => {
    const told = (output: string): string => toldByLspawn(delivered(output)).peerText
    assert.equal(told('did 1+0+0\n'), 'did 1+0+0\n')
    assert.equal(told('a\0b'), 'a')
    assert.equal(told('x'.repeat(3000)).length, 3000)
    const long = told('x'.repeat(3001))
    assert.equal(long, `${'x'.repeat(2966)}\nError report too long, sorry.\n`)
    assert.equal(long.length, 2997)
  })

  it('knows every exit code of a program', () => {
    const codes = Array.from({ length: 256 }, (_, code) => code)
    assert.deepEqual(
      codes.filter((code) => programVerdict(code) === 'fail'),
      [64, 65, 70, 76, 77, 78, 100, 112],
    )
    assert.deepEqual(
      codes.filter((code) => ['next', 'stop'].includes(programVerdict(code))),
      [0, 99],
    )
  })
})
