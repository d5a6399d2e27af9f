import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readKeyRecord } from './key-record.ts'
import { readSignature } from './signature.ts'
import { parseTagList } from './tag-list.ts'

describe('a tag list', () => {
  for (const [text, expected] of [
    ['a=1;b=2', { a: '1', b: '2' }],
    [' a = 1 \n\t2 ;\r\n B=;', { a: '1 \n\t2', B: '' }],
    ['a=b=c', { a: 'b=c' }],
  ] as const)
    it(JSON.stringify(text), () => assert.deepEqual(Object.fromEntries(parseTagList(text) ?? []), expected))

  for (const text of [
    '',
    ';',
    'a',
    'a=1;;b=2',
    'a=1;a=2',
    '=1',
    '1a=1',
    'a b=1',
    'a=\xe9',
    'a=\0',
    `a=${'x'.repeat(20_000)}`,
  ])
    it(`is none: ${JSON.stringify(text.slice(0, 20))}`, () => assert.equal(parseTagList(text), undefined))

  it('has a limit of tags', () => {
    const list = (count: number): string => Array.from({ length: count }, (_, at) => `t${at}=1`).join(';')
    assert.equal(parseTagList(list(100))?.size, 100)
    assert.equal(parseTagList(list(101)), undefined)
  })
})

describe('a signature', () => {
  const good = 'v=1; a=rsa-sha256; d=Example.org; s=Sel; h=From:To; bh=AAAA; b=AA\n AA'
  const now = 1_000_000
  const reason = (value: string): string => {
    const read = readSignature(value, now)
    return read.read ? '' : read.reason
  }

  it('is read', () => {
    assert.deepEqual(readSignature(`${good}; i=joe@x.example.ORG; c=relaxed; l=5; t=999; x=1000000`, now), {
      read: true,
      signature: {
        algorithm: 'rsa-sha256',
        value: '\0\0\0',
        bodyHash: '\0\0\0',
        header: 'relaxed',
        body: 'simple',
        domain: 'example.org',
        selector: 'sel',
        mark: 'AAAA',
        identityDomain: 'x.example.org',
        names: ['From', 'To'],
        bodyBytes: 5,
      },
    })
  })

  for (const [change, expected] of [
    ['; i=@ample.org', 'i= is not of the domain d='],
    ['; i=example.org', 'i= is not of the domain d='],
    ['; i=@example.org.evil.example', 'i= is not of the domain d='],
    ['; l=-1', 'l= is no number'],
    ['; l=1e3', 'l= is no number'],
    ['; t=soon', 't= or x= is no time'],
    ['; x=999999', 'expired'],
    ['; t=1000001; x=1000001', 'expired before it was signed'],
    ['; c=relaxed/simple/simple', 'unknown canonicalization'],
    ['; q=http', 'no known query method'],
    ['; v=1', 'no list of tags'],
  ] as const)
    it(`is refused with ${change}`, () => assert.equal(reason(good + change), expected))

  for (const [from, to, expected] of [
    ['Example.org', 'org', 'd= is no domain'],
    ['Example.org', 'ex ample.org', 'd= is no domain'],
    ['Example.org', '.example.org', 'd= is no domain'],
    ['s=Sel', 's=../x', 's= is no selector'],
    ['h=From:To', 'h=To', 'From is not signed'],
    ['h=From:To', `h=From${':x'.repeat(200)}`, 'h= has more than 200 names'],
    ['h=From:To', 'h=From::To', 'h= has a name that is none'],
    ['AA\n AA', 'AA!A', 'b= or bh= is not base64'],
    ['rsa-sha256', 'rsa-sha1', 'SHA-1 proves nothing'],
    ['rsa-sha256', 'RSA-SHA256', 'unknown algorithm'],
    ['; bh=AAAA', '', 'bh= is missing'],
  ] as const)
    it(`is refused with ${to} for ${from}`, () => assert.equal(reason(good.replace(from, to)), expected))
})

describe('a key record', () => {
  it('is read', () => {
    assert.deepEqual(readKeyRecord('v=DKIM1; h=sha1:sha256; s=a:email; t=y:s; n=note; p=AA AA'), {
      kind: 'rsa',
      key: '\0\0\0',
      isTest: true,
      isStrict: true,
    })
  })
  for (const text of ['v=spf1 -all', '', 'k=rsa', 'some text'])
    it(`is not: ${JSON.stringify(text)}`, () => assert.equal(readKeyRecord(text), undefined))
  for (const [text, reason] of [
    ['v=DKIM2; p=AAAA', 'unknown version of the key'],
    ['p=AAAA; v=DKIM1', 'unknown version of the key'],
    ['p=', 'the key is revoked'],
    ['k=ecdsa; p=AAAA', 'unknown kind of key'],
    ['h=sha1; p=AAAA', 'the key is not for SHA-256'],
    ['s=tlsrpt; p=AAAA', 'the key is not for mail'],
    ['k=ed25519; p=AAAA', 'the key cannot be read'],
    ['p=A*AA', 'the key cannot be read'],
  ] as const)
    it(`is refused: ${text}`, () => assert.deepEqual(readKeyRecord(text), { reason }))
})
