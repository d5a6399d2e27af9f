import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { authenticationResults } from './field.ts'
import { withoutOwnResults } from './own-fields.ts'

describe('Authentication-Results', () => {
  it('says of each method what came of it, in lines that nobody breaks', () => {
    assert.equal(authenticationResults('us.test', []), 'Authentication-Results: us.test; none\n')
    const text = authenticationResults('us.test', [
      { method: 'spf', result: 'pass', comment: '', properties: [['smtp.mailfrom', 'joe@client.test']] },
      {
        method: 'dkim',
        result: 'fail',
        comment: 'the body was changed',
        properties: [
          ['header.d', 'client.test'],
          ['header.s', 's1'],
          ['header.b', 'abc/+def'],
        ],
      },
    ])
    assert.equal(
      text,
      'Authentication-Results: us.test; spf=pass smtp.mailfrom=joe@client.test;\n\tdkim=fail (the body was changed) header.d=client.test header.s=s1\n\theader.b="abc/+def"\n',
    )
  })

  it('39: quotes what a stranger said, and gives him no line of his own', () => {
    for (const evil of ['a;dmarc=pass', 'a"b\\c', '(x', 'x\r\nFrom: y', 'a b', '\0', 'x'.repeat(5000)]) {
      const text = authenticationResults('us.test', [
        { method: 'spf', result: 'none', comment: 'no; record)', properties: [['smtp.helo', evil]] },
      ])
      assert.equal(text.replace(/"(?:[^"\\]|\\.)*"/g, '').split(';').length, 2, text)
      assert.match(text, /^[^\n]*(\n\t[^\n]*)*\n$/)
      assert.ok(text.split('\n').every((line) => line.length < 998))
    }
  })
})

describe('a field that claims to be ours', () => {
  const isOurs = (id: string): boolean => id === 'us.test' || id === 'old.us.test'
  const left = (...lines: string[]): string => withoutOwnResults(`${lines.join('\n')}\n`, isOurs).header

  it('36: goes, however it is written', () => {
    for (const field of [
      'Authentication-Results: us.test; dkim=pass',
      'AUTHENTICATION-RESULTS:US.TEST;dkim=pass',
      'Authentication-Results : us.test 1; none',
      'Authentication-Results:\n us.test;\n dkim=pass',
      'Authentication-Results: (a (nested; \\) comment)) us.test (x) 1 ; dkim=pass',
      'Authentication-Results: "us.test"; dkim=pass',
      'Authentication-Results: "us\\.test" ; dkim=pass',
      'Authentication-Results: us.test.; dkim=pass',
      'Authentication-Results: old.us.test',
      'Authentication-Results: us.test/1; dkim=pass',
      'Authentication-Results: (not closed us.test; dkim=pass',
      'Authentication-Results:',
    ])
      assert.equal(left('From: a', field, 'To: b'), 'From: a\nTo: b\n', field)
  })

  it('is no other one', () => {
    const others = [
      'Authentication-Results: other.test; dkim=pass',
      'Authentication-Results: us.test.evil.test; dkim=pass',
      'ARC-Authentication-Results: i=1; us.test; dkim=pass',
      'X-Authentication-Results: us.test; dkim=pass',
      'Received-SPF: pass (us.test: x)',
    ]
    assert.equal(left(...others), `${others.join('\n')}\n`)
    const none = 'Subject: authentication-results: us.test; x\n'
    assert.equal(withoutOwnResults(none, isOurs).header, none)
  })
})
