import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { authorDomain } from './author-domain.ts'
import { keyText, zoneStrings } from './key-text.ts'
import { isListedFor, isSigningUserLine, selectorsIn, signingRuleFor } from './signing-rules.ts'

describe('for whom a message speaks', () => {
  const of = (header: string): string | undefined => authorDomain(header).domain
  it('is the domain of its author, in lower case, wherever the field is folded', () => {
    assert.equal(of('From: A <a@Example.ORG>\n'), 'example.org')
    assert.equal(of('Subject: x\nfrom:\n "a, b"\n <a@example.org>\n'), 'example.org')
    assert.equal(of('From: a@example.org, b@EXAMPLE.org\n'), 'example.org')
  })
  it('is nobody where receivers could see another author, or none', () => {
    const whys = [
      ['Subject: x\n', /no From/],
      ['From: a@example.org\nFrom: b@example.org\n', /2 fields From/],
      ['From: a@example.org, b@example.com\n', /several domains/],
      ['From: undisclosed:;\n', /no domain/],
      ['From: a\n', /no domain/],
      ['From: a@[192.0.2.1]\n', /no domain/],
      ['From: a@localhost\n', /no domain/],
    ] as const
    for (const [header, why] of whys) {
      const found = authorDomain(header)
      assert.ok(found.domain === undefined && why.test(found.why), JSON.stringify([header, found]))
    }
  })
})

describe('control/dkimdomains', () => {
  const lines = new Map([
    ['example.org', 'q1'],
    ['news.example.org', 'n1, N2'],
    ['bad.example', 'a/b'],
    ['@', 'all'],
  ])
  it('names the keys of a domain, of its nearest parent, or of every other', () => {
    assert.deepEqual(signingRuleFor('example.org', lines), { domain: 'example.org', selectors: ['q1'] })
    assert.deepEqual(signingRuleFor('a.b.example.org', lines), { domain: 'example.org', selectors: ['q1'] })
    assert.deepEqual(signingRuleFor('x.news.example.org', lines), {
      domain: 'news.example.org',
      selectors: ['n1', 'n2'],
    })
    assert.deepEqual(signingRuleFor('other.test', lines), { domain: 'other.test', selectors: ['all'] })
    assert.deepEqual(signingRuleFor('xexample.org', lines)?.domain, 'xexample.org')
    assert.equal(signingRuleFor('other.test', new Map([['example.org', 'q1']])), undefined)
    assert.equal(signingRuleFor('other.test', undefined), undefined)
  })
  it('never leads out of the directory of keys', () => {
    for (const value of ['../q1', 'a/b', '.', '..', '', 'q1,', 'a b', 'q1,q2,q3,q4,q5'])
      assert.equal(selectorsIn('example.org', value), undefined, value)
    for (const domain of ['../etc', 'org', '']) assert.equal(selectorsIn(domain, 'q1'), undefined, domain)
    assert.deepEqual(selectorsIn('@', 'q1'), ['q1'])
    assert.deepEqual(selectorsIn('example.org', 'Q1,q2'), ['q1', 'q2'])
    assert.equal(signingRuleFor('bad.example', new Map([['bad.example', 'a/b']])), undefined)
  })
  it('is widened by control/dkimusers', () => {
    const users = new Map([
      ['www-data', 'shop.example, Example.org'],
      ['list', '@'],
    ])
    assert.ok(isListedFor('www-data', 'example.org', users) && isListedFor('list', 'any.test', users))
    assert.ok(!isListedFor('www-data', 'example.com', users) && !isListedFor('joe', 'example.org', users))
    assert.ok(isSigningUserLine('example.org, @') && !isSigningUserLine('example.org,,') && !isSigningUserLine(''))
  })
})

it('a record is cut into strings of 255 bytes at most, which together are the record', () => {
  const text = keyText('rsa', '\x00'.repeat(294))
  const strings = [...zoneStrings(text).matchAll(/"([^"]*)"/g)].map(([, part = '']) => part)
  assert.equal(strings.join(''), text)
  assert.ok(strings.length === 2 && strings.every((part) => part.length <= 255))
  assert.equal(zoneStrings('v=DKIM1; p='), '"v=DKIM1; p="')
})
