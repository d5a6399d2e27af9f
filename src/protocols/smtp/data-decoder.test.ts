import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { DataDecoder, type DataFault } from './data-decoder.ts'

interface Result {
  readonly content: string
  readonly fault: DataFault | undefined
  readonly ended: boolean
  /** Bytes that were taken. */
  readonly taken: number
  readonly hops: number
}

function decode(chunks: readonly string[]): Result {
  const decoder = new DataDecoder()
  let content = ''
  let taken = 0
  for (const chunk of chunks) {
    if (decoder.ended || decoder.fault !== undefined) break
    taken += decoder.push(Buffer.from(chunk, 'latin1'), 0, {
      write(bytes, from, to, lineEnd) {
        content += bytes.toString('latin1', from, to) + (lineEnd ? '\n' : '')
      },
    })
  }
  return { content, fault: decoder.fault, ended: decoder.ended, taken, hops: decoder.header.hops }
}

/** RFC 5321 §4.5.2 said plainly, for whole input: what the decoder must agree with. */
function expected(input: string): Pick<Result, 'content' | 'fault' | 'ended'> {
  const end = input.startsWith('.\r\n') ? 0 : input.indexOf('\r\n.\r\n') + 2
  const ended = end > 1 || input.startsWith('.\r\n')
  const lines = (ended ? input.slice(0, end) : input).split('\r\n')
  const content = lines.map((line) => (line.startsWith('.') ? line.slice(1) : line)).join('\n')
  const bad = /\0|(?<!\r)\n|\r(?!\n)/.exec(ended ? input.slice(0, end) : input.replace(/\r$/, ''))?.[0]
  const faults = { '\0': 'nul', '\n': 'bare-lf', '\r': 'bare-cr' } as const
  return {
    content,
    fault: bad === undefined ? undefined : faults[bad as '\0' | '\n' | '\r'],
    ended: ended && bad === undefined,
  }
}

const hostile = fc.string({
  unit: fc.constantFrom('\r\n', '\r', '\n', '.', 'a', 'b c', '\0', '\xff', '\r\n.', '\r\n.\r\n'),
  maxLength: 30,
})
const proper = fc.array(fc.string({ unit: fc.constantFrom('.', 'a', '\t', '\xff', 'Received: x'), maxLength: 8 }), {
  maxLength: 8,
})

function cut(input: string, at: readonly number[]): string[] {
  const places = [...new Set(at.map((place) => place % (input.length + 1)))].sort((a, b) => a - b)
  return [0, ...places]
    .map((place, index) => input.slice(place, [...places, input.length][index]))
    .filter((chunk) => chunk !== '')
}

test('agrees with the plain reading', () => {
  fc.assert(
    fc.property(hostile, (input) => {
      const result = decode([input])
      const plain = expected(input)
      assert.equal(result.fault, plain.fault)
      assert.equal(result.ended, plain.ended)
      if (result.ended) assert.equal(result.content, plain.content)
    }),
    { numRuns: 3000 },
  )
})

test('any chunking gives the same result', () => {
  fc.assert(
    fc.property(hostile, fc.array(fc.nat(), { maxLength: 6 }), (input, places) => {
      const [whole, pieces] = [decode([input]), decode(cut(input, places))]
      if (whole.fault === undefined) assert.deepEqual(pieces, whole)
      else assert.equal(pieces.fault, whole.fault)
    }),
    { numRuns: 3000 },
  )
})

test('byte by byte, too, and what follows the end is left alone', () => {
  fc.assert(
    fc.property(proper, (lines) => {
      const stuffed = lines.map((line) => (line.startsWith('.') ? `.${line}` : line))
      const input = `${[...stuffed, '.'].join('\r\n')}\r\nQUIT\r\n`
      const result = decode(input.split(''))
      assert.equal(result.content, lines.map((line) => `${line}\n`).join(''))
      assert.equal(result.taken, input.length - 'QUIT\r\n'.length)
      assert.equal(result.fault, undefined)
      assert.deepEqual(decode([input]), result)
    }),
  )
})

test('hops are counted in the header only, without a colon, in any case', () => {
  const header = 'Received: a\r\nRECEIVEDBY\r\nreceive\r\nDelivered-To: b\r\ndelivere\r\n received\r\n'
  assert.equal(decode([`${header}\r\nReceived: in the body\r\n.\r\n`]).hops, 3)
  assert.equal(decode(`${header}\r\nReceived: in the body\r\n.\r\n`.split('')).hops, 3)
})

test('fields and bytes of the header', () => {
  const decoder = new DataDecoder()
  decoder.push(Buffer.from('A: 1\r\n more\r\nB: 2\r\n\r\nC: 3\r\n.\r\n'), 0, { write: () => undefined })
  assert.deepEqual([decoder.header.fields, decoder.header.bytes, decoder.header.tooBig], [2, 17, false])
  assert.equal(decoder.bytes, 22)
})
