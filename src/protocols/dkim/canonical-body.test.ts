import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { CanonicalBody, type Canonicalization } from './canonical-body.ts'

function canonical(canonicalization: Canonicalization, ...pieces: string[]): string {
  let text = ''
  const body = new CanonicalBody(canonicalization, (piece) => (text += piece))
  for (const piece of pieces) body.push(piece)
  body.end()
  assert.equal(body.bytes, text.length)
  return text
}

/** RFC 6376 §3.4.3 and §3.4.4 word by word, on a whole body. */
function slowly(canonicalization: Canonicalization, body: string): string {
  let lines = body.split('\n')
  if (canonicalization === 'relaxed')
    lines = lines.map((line) =>
      line
        .split(/[ \t]/)
        .filter((word, at) => at === 0 || word !== '')
        .join(' ')
        .replace(/^ $/, ''),
    )
  while (lines.at(-1) === '') lines.pop()
  const text = lines.map((line) => `${line}\r\n`).join('')
  return text === '' && canonicalization === 'simple' ? '\r\n' : text
}

describe('a body', () => {
  for (const [name, body, simple, relaxed] of [
    ['that is empty', '', '\r\n', ''],
    ['of empty lines', '\n\n\n', '\r\n', ''],
    ['of blanks', ' \n\t\n', ' \r\n\t\r\n', ''],
    ['without a last line end', 'a', 'a\r\n', 'a\r\n'],
    ['with blanks', ' C \nD \t E\n\n\n', ' C \r\nD \t E\r\n', ' C\r\nD E\r\n'],
    ['with empty lines in it', '\n\na\n\nb\n', '\r\n\r\na\r\n\r\nb\r\n', '\r\n\r\na\r\n\r\nb\r\n'],
    ['with other blanks and carriage returns', 'a\xa0 \r\n\x0b\n', 'a\xa0 \r\r\n\x0b\r\n', 'a\xa0 \r\r\n\x0b\r\n'],
  ] as const)
    it(`${name} is hashed as the RFC says`, () => {
      assert.equal(canonical('simple', body), simple)
      assert.equal(canonical('relaxed', body), relaxed)
    })

  it('is the same wherever it is cut, and as the RFC has it', () => {
    const piece = fc.array(fc.constantFrom('a', ' ', '\t', '\n', '\n\n', '\r', '\xe9', '.'), { maxLength: 12 })
    const pieces = fc.array(
      piece.map((parts) => parts.join('')),
      { maxLength: 8 },
    )
    fc.assert(
      fc.property(pieces, fc.constantFrom('simple', 'relaxed'), (parts, canonicalization) => {
        assert.equal(canonical(canonicalization, ...parts), slowly(canonicalization, parts.join('')))
      }),
      { numRuns: 3000 },
    )
  })

  it('of one long line, of blanks, or of line ends costs work that grows with its length', () => {
    for (const unit of ['x', ' ', '\t ', '\n', ' \n', 'a '])
      for (const canonicalization of ['simple', 'relaxed'] as const) {
        let bytes = 0
        const body = new CanonicalBody(canonicalization, (piece) => (bytes += piece.length))
        // Whatever is quadratic in so many bytes does not end in time.
        for (let at = 0; at < 5_000_000; at += 50_000) body.push(unit.repeat(50_000 / unit.length))
        body.push('end')
        body.end()
        assert.equal(bytes, body.bytes)
      }
  })
})
