import assert from 'node:assert/strict'
import { describe as suite, it } from 'node:test'
import * as fc from 'fast-check'
import { describe, forwardSender, parseDotQmail, searchDotQmail } from './dot-qmail.ts'

suite('names of .qmail files', () => {
  const names = (dash: string, ext: string): string[] =>
    searchDotQmail(dash, ext).names.map((name) => `${name.name}=${name.default ?? 'unset'}`)

  it('are searched from the full extension to default', () => {
    assert.deepEqual(names('-', 'A.b-C'), ['.qmail-a:b-c=unset', '.qmail-a:b-default=C', '.qmail-default=A.b-C'])
    assert.deepEqual(names('-', 'x-DEFAULT').slice(0, 1), ['.qmail-x-default=DEFAULT'])
    assert.deepEqual(names('', '')[0], '.qmail=unset')
  })

  it('of a tag end in the plain .qmail, and then the default delivery', () => {
    assert.deepEqual(names('+', 'Tag'), ['.qmail-tag=unset', '.qmail-default=Tag', '.qmail=unset'])
    assert.equal(searchDotQmail('+', 'tag').absent, 'default delivery')
    assert.equal(searchDotQmail('-', 'tag').absent, 'no mailbox')
    assert.equal(searchDotQmail('', '').absent, 'default delivery')
  })

  it('never have a dot from the address: no way up', () => {
    fc.assert(
      fc.property(fc.string(), (ext) => {
        for (const { name } of searchDotQmail('-', ext).names) assert.equal(name.lastIndexOf('.'), 0)
      }),
    )
  })
})

suite('lines of .qmail files', () => {
  const say = (text: string, forwardOnly = false): string => describe(parseDotQmail(text, forwardOnly)).peerText

  it('are read one by one', () => {
    const text = '# comment\n./Maildir/ \t\n./mbox\n/var/x/\n|a b  \n&c@d\n e@f\ng@h # no\n+other\n\n&\n'
    const lines = ['maildir ./Maildir/', 'mbox ./mbox', 'maildir /var/x/', 'program a b', 'forward c@d']
    const more = ['forward  e@f', 'forward g@h # no', 'forward ', 'did 3+4+1', '']
    assert.equal(say(text), [...lines, ...more].join('\n'))
  })

  it('refuse a blank first line only', () => {
    assert.equal(say(' \t\nx\n'), 'Uh-oh: first line of .qmail file is blank. (#4.2.1)\n')
    assert.equal(say('#\n\n'), 'did 0+0+0\n')
    assert.equal(say(''), 'did 0+0+0\n')
  })

  it('allow forwards only from +list on', () => {
    const refused = 'Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)\n'
    assert.equal(say('|x\n+list\na@b\n|y\nc@d\n'), `program x\nforward a@b\n${refused}`)
    assert.equal(say('a@b\n./x\n', true), 'forward a@b\nUh-oh: .qmail has file delivery but has x bit set. (#4.7.0)\n')
  })

  it('end at a NUL', () => {
    assert.equal(say('a@b\0c@d\n'), 'forward a@b\ndid 0+1+0\n')
  })
})

suite('sender of forwards', () => {
  it('is the owner of a list, but for bounces', () => {
    assert.equal(forwardSender('s@x', 'joe-l', 'h', 'none'), 's@x')
    assert.equal(forwardSender('s@x', 'joe-l', 'h', 'owner'), 'joe-l-owner@h')
    assert.equal(forwardSender('s@x', 'joe-l', 'h', 'owner and default'), 'joe-l-owner-@h-@[]')
    assert.equal(forwardSender('', 'joe-l', 'h', 'owner'), '')
    assert.equal(forwardSender('#@[]', 'joe-l', 'h', 'owner and default'), '#@[]')
  })
})
