import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { HeaderGatherer } from './header.ts'

function split(...pieces: string[]): { names: string[]; raw: string; rest: string } {
  const gatherer = new HeaderGatherer()
  let rest: string | undefined
  for (const piece of pieces) {
    if (rest === undefined) rest = gatherer.push(piece)
    else rest += piece
  }
  rest ??= gatherer.end()
  return { names: gatherer.fields.map(({ name }) => name), raw: gatherer.fields.map(({ raw }) => raw).join(''), rest }
}

describe('a header', () => {
  it('ends at the empty line', () => {
    assert.deepEqual(split('A: 1\nb : 2\n 3\n\nbody\n'), {
      names: ['a', 'b'],
      raw: 'A: 1\nb : 2\n 3\n',
      rest: '\nbody\n',
    })
  })

  it('ends at the first line that is no field, and an empty line is put there', () => {
    assert.equal(split('A: 1\nno field\nB: 2\n').rest, '\nno field\nB: 2\n')
    assert.equal(split(' no continuation\nA: 1\n').rest, '\n no continuation\nA: 1\n')
    assert.equal(split('From joe Thu\nA: 1\n').rest, '\nFrom joe Thu\nA: 1\n')
    assert.equal(split('A: 1\n: no name\n').rest, '\n: no name\n')
    assert.equal(split('A: 1\nB\xe9: 1\n').rest, '\nB\xe9: 1\n')
    assert.equal(split('A: 1\nnothing').rest, '\nnothing\n')
  })

  it('may be all there is', () => {
    assert.deepEqual(split('A: 1\n'), { names: ['a'], raw: 'A: 1\n', rest: '' })
    assert.deepEqual(split('A: 1'), { names: ['a'], raw: 'A: 1\n', rest: '' })
    assert.deepEqual(split(''), { names: [], raw: '', rest: '' })
  })

  it('gives values without name and last line end', () => {
    const gatherer = new HeaderGatherer()
    gatherer.push('Subject \t:  a\n b\n\n')
    assert.equal(gatherer.fields[0]?.value, '  a\n b')
  })

  it('is the same however it was cut, and nothing is lost', () => {
    const part = fc.constantFrom('A: 1', '\n', ' ', 'x', ':', '\t', 'Bcc:', '\n\n', '\xff')
    const text = fc.array(part, { maxLength: 20 }).map((parts) => `${parts.join('')}\n`)
    fc.assert(
      fc.property(text, fc.nat(60), fc.nat(60), (value, a, b) => {
        const [from, to] = a < b ? [a, b] : [b, a]
        const whole = split(value)
        assert.deepEqual(split(value.slice(0, from), value.slice(from, to), value.slice(to)), whole)
        assert.ok([value, value.replace(whole.raw, `${whole.raw}\n`)].includes(whole.raw + whole.rest))
      }),
    )
  })
})
