import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type ListItem, mailboxesOf, parseAddressList } from './address-list.ts'
import { printAddressField } from './print-list.ts'

function printed(value: string): string {
  return printAddressField('To', parseAddressList(value)).slice('To:'.length).trim()
}

function addresses(value: string): string[] {
  return mailboxesOf(parseAddressList(value)).map(({ local, domain }) => `${local} at ${domain}`)
}

describe('an address list', () => {
  const cases: readonly (readonly [name: string, value: string, expected: string])[] = [
    ['an address', 'joe@example.org', 'joe@example.org'],
    ['a name and an address', '  Joe   Q.\n\tPublic  <joe@example.org>', '"Joe Q. Public" <joe@example.org>'],
    ['a quoted name', '"Public, Joe" <joe@example.org>', '"Public, Joe" <joe@example.org>'],
    ['an address as a name', 'joe@example.org <joe@example.org>', '"joe@example.org" <joe@example.org>'],
    ['comments before, in and after', '(a)joe(b)@(c)x (d)', 'joe@x (a) (b) (c) (d)'],
    ['comments in comments', 'joe@x (a (b (c)) d)', 'joe@x (a \\(b \\(c\\)\\) d)'],
    ['missing commas', 'a b c@d', 'a, b, c@d'],
    ['a missing comma before a name', 'a@b Joe <c@d>', 'a@b, Joe <c@d>'],
    ['a missing comma after a bracket', '<a@b> <c@d> e', 'a@b, c@d, e'],
    ['empty elements', ', a@b,, ,c@d,', 'a@b, c@d'],
    ['a group', 'friends: a@b, Joe <c@d>; e@f', 'friends: a@b, Joe <c@d>;, e@f'],
    ['an empty group', 'recipient list not shown: ;', 'recipient list not shown: ;'],
    ['a group in a group', 'a: b: c@d;; e@f', 'a: c@d (b);, e@f'],
    ['a group that is not closed', 'a: b@c', 'a: b@c;'],
    ['a source route', 'Joe <@one,@two:joe@x>', 'Joe <joe@x> (@one,@two)'],
    ['blanks around dots', 'joe . public @ example . org', 'joe.public@example.org'],
    ['a literal', 'joe@[192.0.2.1]', 'joe@[192.0.2.1]'],
    ['backslashes in an atom', 'joe\\ public@x', '"joe public"@x'],
    ['a list’s tag in brackets', '[list] <a@b>', '"[list]" <a@b>'],
    ['an encoded word', '=?utf-8?Q?J=C3=B6rg?= <a@b>', '=?utf-8?Q?J=C3=B6rg?= <a@b>'],
    ['a dot in an encoded word, and beside it', '=?utf-8?Q?J._S?= Q. <a@b>', '=?utf-8?Q?J._S?= "Q." <a@b>'],
    ['an encoded word in quotes', '"=?utf-8?Q?J?=" <a@b>', '"=?utf-8?Q?J?=" <a@b>'],
    ['bytes of other alphabets', 'J\xc3\xb6rg <j\xc3\xb6rg@x\xc3\xa4>', 'J\xc3\xb6rg <j\xc3\xb6rg@x\xc3\xa4>'],
    ['nothing in brackets', '<>', '<>'],
    ['brackets that are not closed', 'Joe <joe@x', 'joe@x'.replace(/^/, 'Joe <').concat('>')],
    ['a quote that is not closed', '"Joe <joe@x>', '"Joe <joe@x>"'],
    ['a comment that is not closed', 'joe@x (a (b', 'joe@x (a \\(b)'],
    ['stray brackets', 'joe)@x] >', '"joe)"@"x]"'],
    ['nothing', ' ', ''],
    ['a comment alone', '(nobody)', ''],
  ]
  for (const [name, value, expected] of cases) it(`with ${name}`, () => assert.equal(printed(value), expected))

  it('has the domain that is not quoted', () => {
    assert.deepEqual(addresses('"a@evil x"@good'), ['a@evil x at good'])
    assert.deepEqual(addresses('<a@evil@good>'), ['a@evil at good'])
    assert.deepEqual(addresses('"joe@evil>, <x@evil"@good'), ['joe@evil>, <x@evil at good'])
    assert.deepEqual(addresses('(a@evil) joe@good (b@evil)'), ['joe at good'])
    assert.deepEqual(addresses('=?utf-8?Q?boss@evil=2C?= <joe@good>'), ['joe at good'])
  })

  it('finds whoever another reader could take for an author', () => {
    assert.deepEqual(addresses('boss@evil Joe <joe@good>'), ['boss at evil', 'joe at good'])
    assert.deepEqual(addresses('=?utf-8?Q?a,boss@evil?= <joe@good>'), ['=?utf-8?Q?a at ', 'joe at good'])
    assert.deepEqual(addresses('<joe@good, boss@evil>'), ['joe at good', 'boss at evil'])
    assert.deepEqual(addresses('a: boss@evil; <joe@good>'), ['boss at evil', 'joe at good'])
  })

  it('is folded at 78 columns, between addresses where it can be', () => {
    const value = `${'someone@example.com, '.repeat(5)}"${'long '.repeat(30)}name" <a@b>`
    const field = printAddressField('Cc', parseAddressList(value))
    for (const line of field.split('\n')) assert.ok(line.length <= 78, line)
    assert.equal(field.split('\n')[1], '  someone@example.com, someone@example.com,')
    assert.deepEqual(parseAddressList(field.slice(3)), parseAddressList(value))
  })
})

/** What headers are made of, and what they should not be made of. */
const pieces = ['a', 'joe', '@', '.', ',', ';', ':', '<', '>', '(', ')', '"', '\\', '[', ']', ' ', '\n ', '\t', '\xe9']
const encodedPieces = ['=?utf-8?Q?x.y?=', '=?', '?=', '?Q?', '\x07', '\x7f', '`', "'"]
const text = fc.array(fc.constantFrom(...pieces, ...encodedPieces), { maxLength: 60 }).map((parts) => parts.join(''))
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array).toString('latin1'))

describe('whatever is read as an address list', () => {
  it('is the same after it was printed, and printed the same', () => {
    fc.assert(
      fc.property(fc.oneof(text, bytes), (value) => {
        const items: ListItem[] = parseAddressList(value)
        const field = printAddressField('To', items)
        assert.ok(/^To:[^\n]*\n([ \t][^\n]*\n)*$/.test(field), field)
        const again = parseAddressList(field.slice('To:'.length))
        assert.deepEqual(again, items)
        assert.equal(printAddressField('To', again), field)
      }),
      { numRuns: 5000 },
    )
  })

  it('costs work that grows with its length: deep or wide, nothing is counted twice', () => {
    for (const unit of [
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
      '.',
      ') (',
      '[[',
    ]) {
      // Whatever is quadratic in so many bytes does not end in time, whatever recurses fails.
      const value = unit.repeat(Math.ceil(250_000 / unit.length))
      const field = printAddressField('To', parseAddressList(value))
      assert.ok(field.length < 6 * value.length + 100, unit)
    }
  })
})
