import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  isHttpsUrl,
  isToken,
  readAuthorization,
  readBinding,
  readDirectory,
  readOrder,
  readProblem,
  readRenewalInfo,
} from './objects.ts'

const at = (path: string): string => `https://ca.test/${path}`
const directory = { newNonce: at('n'), newAccount: at('a'), newOrder: at('o') }

describe('what an ACME server says', () => {
  it('a directory has three places; all else may be missing', () => {
    assert.deepEqual(readDirectory(directory), {
      ...directory,
      renewalInfo: undefined,
      profiles: [],
      needsBinding: false,
      caaNames: [],
    })
    const meta = {
      profiles: { classic: 'x', 'short\n': 'y' },
      externalAccountRequired: true,
      caaIdentities: ['ca.test', 7, 'x"; issue'],
    }
    const read = readDirectory({ ...directory, renewalInfo: at('r'), meta })
    assert.deepEqual([read?.renewalInfo, read?.profiles, read?.needsBinding], [at('r'), ['classic', 'short?'], true])
    assert.deepEqual(read?.caaNames, ['ca.test'])
    for (const bad of [
      undefined,
      null,
      7,
      [],
      {},
      { ...directory, newOrder: 'http://ca.test/o' },
      { ...directory, newNonce: 1 },
    ])
      assert.equal(readDirectory(bad), undefined)
  })

  it('an order leads to https alone, and to no more than a hundred authorizations', () => {
    const order = { status: 'ready', authorizations: [at('z')], finalize: at('f'), certificate: 'http://ca.test/c' }
    assert.deepEqual(readOrder(order), { ...order, certificate: undefined, problem: undefined })
    assert.equal(readOrder({ ...order, status: 'strange' })?.status, 'pending')
    assert.equal(readOrder({ ...order, finalize: 'ftp://x' }), undefined)
    assert.equal(readOrder({ ...order, authorizations: [at('z'), 'file:///etc/passwd'] }), undefined)
    assert.equal(readOrder({ ...order, authorizations: Array(101).fill(at('z')) }), undefined)
  })

  it('a challenge whose token is no name of a file is left out', () => {
    const challenge = (token: unknown): object => ({ type: 'http-01', url: at('c'), token })
    const tokens = ['good_-1', '../../etc/passwd', '.hidden', '', 'a/b', 'a'.repeat(129), 7]
    const read = readAuthorization({
      identifier: { type: 'dns', value: 'x.test' },
      status: 'deactivated',
      challenges: [...tokens.map(challenge), null, { type: 'dns-persist-01', url: at('c') }],
    })
    assert.deepEqual(
      read?.challenges.map(({ token }) => token),
      ['good_-1'],
    )
    assert.equal(read?.status, 'invalid')
    assert.ok(!isToken('.') && !isToken('a.b') && !isToken('a\n'))
  })

  it('a problem is one printable line, with what is said of each name', () => {
    const problem = {
      type: 'urn:ietf:params:acme:error:compound',
      detail: 'two\x1b[31m',
      subproblems: [{ type: 'x', detail: 'no address', identifier: { type: 'dns', value: 'a.test' } }],
    }
    assert.deepEqual(readProblem(problem), { type: 'compound', text: 'two?[31m; a.test: no address' })
    assert.equal(readProblem({ type: 'about:blank', detail: 'x'.repeat(5000) })?.text.length, 500)
    assert.equal(readProblem({ detail: 'x' }), undefined)
  })

  it('a window that ends before it begins, or has no times, is none', () => {
    const window = (start: unknown, end: unknown): unknown => ({ suggestedWindow: { start, end } })
    assert.deepEqual(readRenewalInfo(window('2026-01-01T00:00:00Z', '2026-01-02T00:00:00+00:00')), {
      fromMs: Date.UTC(2026, 0, 1),
      toMs: Date.UTC(2026, 0, 2),
      explanation: '',
    })
    for (const [start, end] of [
      ['2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z'],
      ['soon', 'later'],
      [1, 2],
      [undefined, undefined],
    ])
      assert.equal(readRenewalInfo(window(start, end)), undefined)
    assert.equal(readRenewalInfo(null), undefined)
  })

  it('a binding is a key id and a key', () => {
    assert.deepEqual(readBinding('kid-1  YWJjZGVmZ2hpamtsbW5vcA=='), {
      keyId: 'kid-1',
      key: Buffer.from('abcdefghijklmnop'),
    })
    for (const bad of ['', 'kid', 'kid short', 'kid a+b/cdefghijklmnopqr', 'a b YWJjZGVmZ2hpamtsbW5vcA'])
      assert.equal(readBinding(bad), undefined, bad)
  })

  it('a URL is https and short', () => {
    assert.ok(isHttpsUrl(at('x')))
    for (const bad of ['http://ca.test', 'https://', 'HTTPS://', `https://ca.test/${'x'.repeat(3000)}`, 'https://[x'])
      assert.ok(!isHttpsUrl(bad), bad)
  })
})
