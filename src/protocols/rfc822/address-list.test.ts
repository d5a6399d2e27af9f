import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { parseAddressList } from './address-list.ts'

/** Each address, `?` for a host that is missing, and what stands in the value where its host belongs. */
function found(value: string): string[] | undefined {
  return parseAddressList(value)?.addresses.map(
    ({ local, domain, from, to }) => `${local}@${domain === '' ? '?' : domain}=${value.slice(from, to)}`,
  )
}

describe('an address list', () => {
  const cases: readonly (readonly [name: string, value: string, ...expected: string[]])[] = [
    ['an address', 'joe@example.org', 'joe@example.org=example.org'],
    ['a word', ' joe', 'joe@?='],
    ['a word and @', 'joe@ , mary', 'joe@?=', 'mary@?='],
    ['a name and an address', '  Joe   Q.\n\tPublic  <joe@pc>', 'joe@pc=pc'],
    ['a quoted name', '"Public, Joe <x@y>" <joe@pc>', 'joe@pc=pc'],
    ['an address as a name', 'joe@one <joe@two>', 'joe@two=two'],
    ['comments before, in and after', '(a)joe(b)@(c)x (d)', 'joe@x=x'],
    ['comments in comments', 'joe@x (a (b (c)) d@e)', 'joe@x=x'],
    ['a comment in a name', 'Jane (via Docs) <jane@x>', 'jane@x=x'],
    ['names alone', 'Jane Doe, "Jane Doe", =?utf-8?Q?Jane?=, =?utf-8?Q?Jane Doe?=, x@y', 'x@y=y'],
    ['missing commas', 'a b c@d e@f', 'c@d=d', 'e@f=f'],
    ['a missing comma after a bracket', '<a@b> <c@d> e', 'a@b=b', 'c@d=d'],
    ['empty elements', ', a@b,, ,c@d,', 'a@b=b', 'c@d=d'],
    ['groups', 'friends: a@b, Joe <c>; e@f, nobody: ;', 'a@b=b', 'c@?=', 'e@f=f'],
    ['a source route', 'Joe <@one,@two:joe@x>, <@one:joe>', 'joe@x=x', 'joe@?='],
    ['blanks around dots', 'joe . public @ example . org', 'joe.public@example.org=example . org'],
    ['a literal', 'joe@[192.0.2.1]', 'joe@[192.0.2.1]=[192.0.2.1]'],
    ['a quoted address', '"joe@x, y"@z, <"a\\"b">', 'joe@x, y@z=z', 'a"b@?='],
    ['a list’s tag in brackets', '[list] <a@b>', 'a@b=b'],
    ['a comma in an encoded word', '=?utf-8?Q?Doe,_J?= <a@b>, =?utf-8?Q?"<x@y>,(?= <c@d>', 'a@b=b', 'c@d=d'],
    ['a long encoded word', `=?utf-8?B?${'QUJD'.repeat(100)}?= <a@b>`, 'a@b=b'],
    ['bytes of other alphabets', 'J\xc3\xb6rg <j\xc3\xb6rg@x\xc3\xa4>', 'j\xc3\xb6rg@x\xc3\xa4=x\xc3\xa4'],
    ['what is no address in brackets', '<Undisclosed-Recipient:;>, <Joe Public>, <>, <mailto:a@b>, @dom, <@dom>'],
    ['blanks in brackets', '<joe public@x>, <joe@x y>', 'joe public@x=x'],
    ['dots that are no words', 'joe., .mary, Jr.'],
    ['nothing', ' \n '],
  ]
  for (const [name, value, ...expected] of cases) it(`with ${name}`, () => assert.deepEqual(found(value), expected))

  it('has gaps where an address is missing', () => {
    assert.deepEqual(parseAddressList('Joe <>, <\n>')?.gaps, [5, 9])
  })

  for (const value of [
    '"Doe, =?utf-8?b?SsOzaG4i?= <john.doe@b.example>',
    'joe@x (a (b)',
    'Joe <joe@x',
    'joe)@x',
    'a@b>',
    '<a <b@c>>',
    'joe@[1.2.3.4',
    'joe\\ public@x',
    '\x1b$B;3ED\x1b(B <taro@x>',
    'a\x7fb',
  ])
    it(`says that it cannot be read: ${JSON.stringify(value)}`, () => assert.equal(parseAddressList(value), undefined))
})

describe('whatever is read as an address list', () => {
  const pieces = [
    'a',
    'joe',
    '@',
    '.',
    ',',
    ';',
    ':',
    '<',
    '>',
    '(',
    ')',
    '"',
    '\\',
    '[',
    ']',
    ' ',
    '\n ',
    '\t',
    '\xe9',
  ]
  const encodedPieces = ['=?utf-8?Q?x,y?=', '=?', '?=', '?Q?', '\x07', '\x7f', '`', "'"]
  const text = fc.array(fc.constantFrom(...pieces, ...encodedPieces), { maxLength: 60 }).map((parts) => parts.join(''))

  it('has hosts in order and apart, so that each can be replaced', () => {
    fc.assert(
      fc.property(text, (value) => {
        let before = 0
        for (const { from, to } of parseAddressList(value)?.addresses ?? []) {
          assert.ok(before <= from && from <= to && to <= value.length)
          before = to
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('costs work that grows with its length: deep or wide, nothing is counted twice', () => {
    const units = [
      '(',
      '((a)',
      '<',
      '@a,',
      'a: ',
      '"',
      '\\',
      'a b ',
      'a@b c ',
      ';',
      '=?utf-8?Q?',
      '=?',
      '.',
      ') (',
      '[[',
      '"\\"',
    ]
    for (const unit of units) {
      // Whatever is quadratic in so many bytes does not end in time, whatever recurses fails.
      parseAddressList(unit.repeat(Math.ceil(100_000 / unit.length)))
    }
  })
})
