import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { HeaderGatherer } from './header.ts'

function split(...pieces: string[]): { names: string[]; raw: string; rest: string } {
  const gatherer = new HeaderGatherer()
  let rest = ''
  for (const piece of pieces) rest += gatherer.push(piece) ?? ''
  rest += gatherer.end()
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
    assert.equal(split('A: 1\n: no name\n').rest, '\n: no name\n')
    assert.equal(split('A: 1\nTwo words: 1\n').rest, '\nTwo words: 1\n')
    assert.equal(split('A: 1\nnothing').rest, '\nnothing\n')
  })

  it('may be all there is', () => {
    assert.deepEqual(split('A: 1\n'), { names: ['a'], raw: 'A: 1\n', rest: '' })
    assert.deepEqual(split('A: 1'), { names: ['a'], raw: 'A: 1\n', rest: '' })
    assert.deepEqual(split(''), { names: [], raw: '', rest: '' })
  })

  it('goes on behind a field with odd bytes in its name, which count for nothing', () => {
    assert.deepEqual(split('A: 1\nB\xe9: 1\n\xef\xbb\xbfBcc\xa0 : x\nC: 1\n\n').names, ['a', 'b', 'bcc', 'c'])
  })

  it('begins behind what mail programs, spools and editors put before it', () => {
    const mbox = 'From abc123 Mon Sep 17 00:00:00 2001\n'
    const field = `MBOX-Line: ${mbox}`
    assert.deepEqual(split(`${mbox}A: 1\n\nbody\n`), {
      names: ['mbox-line', 'a'],
      raw: `${field}A: 1\n`,
      rest: '\nbody\n',
    })
    for (const before of [`>${mbox}`, '\xef\xbb\xbf', '\n', ' \t\n\n', `\n${mbox}`, `\xef\xbb\xbf${mbox}\n`, '\r\n']) {
      const { names, raw, rest } = split(`${before}Bcc: x\n y\nSubject: z\n\nbody\n`)
      assert.deepEqual(names.slice(-2), ['bcc', 'subject'], JSON.stringify(before))
      assert.ok(raw.endsWith('Bcc: x\n y\nSubject: z\n') && rest === '\nbody\n', JSON.stringify(before))
    }
    assert.deepEqual(split(`A: 1\n>${mbox}B: 2\n\n`).names, ['a', 'mbox-line', 'b'])
  })

  it('does not begin where a text begins', () => {
    for (const body of ['From here on\nall is well\n', '\xef\xbb\xbftext\n', ' From: x\n', 'x'])
      assert.deepEqual(split(body), { names: [], raw: '', rest: `\n${body}${body.endsWith('\n') ? '' : '\n'}` })
    for (const body of ['\nbody\n', '\n\nNote: well\n', '\n', '\nFrom here on\n', '\n \n'])
      assert.deepEqual(split(body), { names: [], raw: '', rest: body })
  })

  it('takes blind recipients out of what looks like more of it', () => {
    const secret = 'Bcc: secret\n secret\nresent-BCC \t: secret\n\tsecret\n'
    for (const [before, kept] of [
      ['no header here\n', '\nno header here\n'],
      ['A: 1\nno field\n', '\nno field\n'],
      [' X: 1\n', '\n X: 1\n'],
      ['\nX-Mailer: y\n', '\nX-Mailer: y\n'],
      [' ', '\n'],
    ] as const) {
      const rest = 'more\n\nBcc: of the body\n'
      for (const value of [`${before}${secret}${rest}`, `${before}${secret}B: 1\n${secret}${rest}`])
        assert.ok(!/secret/.test(split(value).rest + split(value).raw.replaceAll(secret, '')), JSON.stringify(value))
      assert.ok(split(`${before}${secret}${rest}`).rest.endsWith(`${kept.slice(1)}${rest}`))
    }
    const blanks = ' '.repeat(5000)
    assert.equal(split(`x\nBcc${blanks}:`, `${blanks}secret\ny\n`).rest, '\nx\ny\n')
    assert.equal(split(`x\n${'long '.repeat(2000)}`, 'Bcc: said\n').rest, `\nx\n${'long '.repeat(2000)}Bcc: said\n`)
    assert.equal(split('x\nBcc: secret').rest, '\nx\n')
    for (const odd of ['\v', '\xc2\xa0', '\xe2\x80\x8b', '\xef\xbb\xbf', '\f'])
      for (const line of [`${odd}Bcc: secret`, `Bcc${odd}: secret`])
        for (const before of ['A: 1\n', 'no header\n']) {
          const { names, rest } = split(`${before}${line}\n secret\nB: 2\n\n`)
          assert.ok(names.includes('bcc') || !rest.includes('secret'), JSON.stringify(before + line))
        }
  })

  it('gives values without name and last line end', () => {
    const gatherer = new HeaderGatherer()
    gatherer.push('Subject \t:  a\n b\n\n')
    assert.equal(gatherer.fields[0]?.value, '  a\n b')
  })

  it('is the same however it was cut, and nothing is lost', () => {
    const part = fc.constantFrom('A: 1', '\n', ' ', 'x', ':', '\t', 'Cc:', '\n\n', '\xff', '\n>From a', '\xef\xbb\xbf')
    const text = fc.array(part, { maxLength: 20 }).map((parts) => `${parts.join('')}\n`)
    fc.assert(
      fc.property(text, fc.nat(60), fc.nat(60), (value, a, b) => {
        const [from, to] = a < b ? [a, b] : [b, a]
        const whole = split(value)
        assert.deepEqual(split(value.slice(0, from), value.slice(from, to), value.slice(to)), whole)
        const letters = (all: string): string => all.replace(/\xef\xbb\xbf|MBOX-Line: |\s/g, '')
        assert.equal(letters(whole.raw + whole.rest), letters(value))
      }),
    )
  })
})
