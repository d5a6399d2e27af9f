import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseMap } from './control-format.ts'
import { chooseRoute, parseRelay } from './smtproutes.ts'

describe('parseRelay', () => {
  for (const [text, host, port] of [
    ['Relay.Test', 'relay.test', 25],
    ['relay.test:587', 'relay.test', 587],
    ['10.0.0.1:26', '10.0.0.1', 26],
    ['[10.0.0.1]', '10.0.0.1', 25],
    ['[2001:db8::1]:465', '2001:db8::1', 465],
    ['relay.test:', 'relay.test', 25],
  ] as const)
    it(text, () => assert.deepEqual(parseRelay(text), { host, port }))
  for (const text of [':25', 'relay.test:0', 'relay.test:65536', 'relay.test:smtp', '[::1', '[::1]25', '[]'])
    it(`refuses ${text}`, () => assert.equal(parseRelay(text), undefined))
})

describe('chooseRoute', () => {
  const tables = {
    senderroutes: parseMap('joe@here.test:joes.test\n@there.test:theirs.test:587\n@direct.test:\n'),
    smtproutes: parseMap('a.test:one.test\n.a.test:two.test\nb.test:\n:rest.test:2525\nbad.test:x:y\n'),
  }
  const route = (sender: string, domain: string): string => {
    const chosen = chooseRoute(sender, domain, tables)
    return chosen.kind === 'relay' ? `${chosen.relay.host}:${chosen.relay.port}` : chosen.kind
  }
  it('the domain itself, its suffixes, then the rest', () => {
    assert.equal(route('', 'A.test'), 'one.test:25')
    assert.equal(route('', 'x.y.a.test'), 'two.test:25')
    assert.equal(route('', 'else.test'), 'rest.test:2525')
  })
  it('an empty relay means the MX', () => assert.equal(route('', 'b.test'), 'exchangers'))
  it('the sender comes first', () => {
    assert.equal(route('JOE@here.test', 'a.test'), 'joes.test:25')
    assert.equal(route('eve@here.test', 'a.test'), 'one.test:25')
    assert.equal(route('eve@there.test', 'a.test'), 'theirs.test:587')
    assert.equal(route('eve@direct.test', 'a.test'), 'exchangers')
  })
  it('what is no relay is said to be none', () => assert.equal(route('', 'bad.test'), 'unreadable'))
  it('no tables: the MX', () => {
    assert.deepEqual(chooseRoute('a@b', 'c', { senderroutes: undefined, smtproutes: undefined }), {
      kind: 'exchangers',
    })
  })
})
