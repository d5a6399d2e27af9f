import assert from 'node:assert/strict'
import { createHash, createHmac, pbkdf2 } from 'node:crypto'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { encodeBase64 } from './base64.ts'
import { begin, mechanisms } from './mechanisms.ts'
import type { ScramMeans } from './scram.ts'
import {
  deriveScramVerifier,
  formatScramVerifier,
  parseScramVerifier,
  type ScramDigests,
  type ScramVerifier,
} from './scram-verifier.ts'
import type { SaslStep } from './step.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const digests: ScramDigests = {
  hmac: (key, data) => createHmac('sha256', bytes(key)).update(bytes(data)).digest('latin1'),
  hash: (data) => createHash('sha256').update(bytes(data)).digest('latin1'),
  pbkdf2: (password, salt, iterations) =>
    new Promise((resolve) => {
      pbkdf2(bytes(password), bytes(salt), iterations, 32, 'sha256', (_, key) => resolve(key.toString('latin1')))
    }),
}
const means = (
  bindings: Readonly<Record<string, string>> = {},
  nonce = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
): ScramMeans => ({ ...digests, same: (a, b) => a === b, nonce, bindings: new Map(Object.entries(bindings)) })

/** RFC 7677 3. */
const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64').toString('latin1')
const clientNonce = 'rOprNGfwEbeRWgbNEkqO'
const kept = await deriveScramVerifier(digests, 'pencil', salt, 4096)

function challenged(step: SaslStep): Extract<SaslStep, { kind: 'challenge' }> {
  assert.ok(step.kind === 'challenge', JSON.stringify(step))
  return step
}

/** What a client would send last. */
async function clientFinal(
  gs2: string,
  bound: string,
  bare: string,
  server: string,
  password: string,
): Promise<string> {
  const [random = ''] = server.split(',')
  const signed = `c=${encodeBase64(gs2 + bound)},${random}`
  const salted = await digests.pbkdf2(password, salt, 4096)
  const clientKey = bytes(digests.hmac(salted, 'Client Key'))
  const signature = bytes(digests.hmac(digests.hash(clientKey.toString('latin1')), `${bare},${server},${signed}`))
  return `${signed},p=${Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))).toString('base64')}`
}

function afterFirst(
  mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS',
  first: string,
  bindings: Readonly<Record<string, string>> = {},
  verifiers: readonly ScramVerifier[] = [kept],
): SaslStep {
  const step = begin(mechanism, first, means(bindings))
  return step.kind === 'verifiers' ? step.resume({ salt, iterations: 4096, verifiers }) : step
}

describe('SCRAM-SHA-256', () => {
  it('holds the exchange of RFC 7677', () => {
    const first = begin('SCRAM-SHA-256', `n,,n=user,r=${clientNonce}`, means())
    assert.ok(first.kind === 'verifiers')
    assert.equal(first.name, 'user')
    const second = challenged(first.resume({ salt, iterations: 4096, verifiers: [kept] }))
    assert.equal(second.data, 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096')
    const third = challenged(
      second.next(
        'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
      ),
    )
    assert.equal(third.data, 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
    assert.deepEqual(third.next(''), { kind: 'proven', verifier: kept })
    assert.equal(third.next('x').kind, 'malformed')
  })

  it('says which of several verifiers was meant', async () => {
    const other = await deriveScramVerifier(digests, 'crayon', salt, 4096)
    const bare = `n=user,r=${clientNonce}`
    const second = challenged(afterFirst('SCRAM-SHA-256', `n,,${bare}`, {}, [kept, other]))
    const third = challenged(second.next(await clientFinal('n,,', '', bare, second.data, 'crayon')))
    assert.deepEqual(third.next(''), { kind: 'proven', verifier: other })
  })

  it('refuses a wrong password, and a name without verifiers, at the same point', async () => {
    const bare = `n=user,r=${clientNonce}`
    for (const verifiers of [[kept], []]) {
      const second = challenged(afterFirst('SCRAM-SHA-256', `n,,${bare}`, {}, verifiers))
      const end = second.next(await clientFinal('n,,', '', bare, second.data, 'pencils'))
      assert.deepEqual(end, { kind: 'refused', reason: 'wrong proof' })
    }
  })

  it('refuses another nonce than its own', async () => {
    const bare = `n=user,r=${clientNonce}`
    const second = challenged(afterFirst('SCRAM-SHA-256', `n,,${bare}`))
    const answer = await clientFinal('n,,', '', bare, second.data.replace('%hv', 'abc'), 'pencil')
    assert.equal(second.next(answer).kind, 'refused')
  })

  it('binds to the channel: the right bytes pass, those of another connection do not', async () => {
    const bare = `n=user,r=${clientNonce}`
    for (const name of ['tls-exporter', 'tls-server-end-point']) {
      const gs2 = `p=${name},,`
      for (const [bound, kind] of [
        ['secret', 'challenge'],
        ['others', 'refused'],
      ] as const) {
        const second = challenged(afterFirst('SCRAM-SHA-256-PLUS', gs2 + bare, { [name]: 'secret' }))
        assert.equal(second.next(await clientFinal(gs2, bound, bare, second.data, 'pencil')).kind, kind)
      }
    }
  })

  it('refuses a downgrade: the client did not see what we offered', () => {
    const first = `y,,n=user,r=${clientNonce}`
    assert.equal(afterFirst('SCRAM-SHA-256', first, { 'tls-exporter': 'x' }).kind, 'refused')
    assert.equal(afterFirst('SCRAM-SHA-256', first).kind, 'challenge')
  })

  for (const [why, mechanism, first, kind] of [
    ['a binding that this connection does not have', 'SCRAM-SHA-256-PLUS', 'p=tls-unique,,n=u,r=x', 'refused'],
    ['-PLUS without a binding', 'SCRAM-SHA-256-PLUS', 'n,,n=u,r=x', 'malformed'],
    ['a binding without -PLUS', 'SCRAM-SHA-256', 'p=tls-exporter,,n=u,r=x', 'malformed'],
    ['a mandatory extension', 'SCRAM-SHA-256', 'n,,m=x,n=u,r=x', 'malformed'],
    ['a name with a bare =', 'SCRAM-SHA-256', 'n,,n=u=,r=x', 'malformed'],
    ['no name', 'SCRAM-SHA-256', 'n,,n=,r=x', 'malformed'],
    ['no nonce', 'SCRAM-SHA-256', 'n,,n=u,r=', 'malformed'],
    ['nothing', 'SCRAM-SHA-256', '', 'malformed'],
  ] as const)
    it(`ends at ${why}`, () => assert.equal(afterFirst(mechanism, first, { 'tls-exporter': 'x' }).kind, kind))

  it('reads escapes and the authorization identity', () => {
    const step = begin('SCRAM-SHA-256', 'n,a=a=2Cb,n=c=3Dd,r=x,e=more', means())
    assert.ok(step.kind === 'verifiers')
    assert.deepEqual([step.name, step.authorize], ['c=d', 'a,b'])
  })
})

describe('verifiers', () => {
  it('are written and read in the form of RFC 5803', () => {
    const text = formatScramVerifier(kept)
    assert.match(text, /^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/)
    assert.deepEqual(parseScramVerifier(text), kept)
    for (const bad of [
      text.replace('256', '1'),
      text.replace('4096', '4095'),
      text.replace('4096', '99999999'),
      text.slice(0, -4),
      `${text}$`,
      `${text}:x`,
      text.replace('W22Z', 'W2!Z'),
      '',
    ])
      assert.equal(parseScramVerifier(bad), undefined, bad)
  })
})

describe('PLAIN and LOGIN', () => {
  it('PLAIN gives name, password and authorization identity', () => {
    const claim = { kind: 'password', name: 'tim', password: 'tanstaaf tanstaaf', authorize: '' }
    assert.deepEqual(begin('PLAIN', '\0tim\0tanstaaf tanstaaf', means()), claim)
    const asked = challenged(begin('PLAIN', undefined, means()))
    assert.equal(asked.data, '')
    assert.deepEqual(asked.next('Ursel\0tim\0tanstaaf tanstaaf'), { ...claim, authorize: 'Ursel' })
  })
  for (const bad of ['', 'tim', '\0tim', '\0a\0b\0c', 'a\0b\0c\0'])
    it(`PLAIN refuses ${JSON.stringify(bad)}`, () => assert.equal(begin('PLAIN', bad, means()).kind, 'malformed'))
  for (const empty of ['\0tim\0', '\0\0x', '\0\0'])
    it(`PLAIN takes ${JSON.stringify(empty)} for wrong, and shows it to nobody`, () =>
      assert.equal(begin('PLAIN', empty, means()).kind, 'refused'))
  it('LOGIN asks for both, or takes the name from the initial response', () => {
    const first = challenged(begin('LOGIN', undefined, means()))
    const second = challenged(first.next('tim'))
    assert.deepEqual([first.data, second.data], ['Username:', 'Password:'])
    const claim = { kind: 'password', name: 'tim', password: 'x', authorize: '' }
    assert.deepEqual(second.next('x'), claim)
    assert.deepEqual(challenged(begin('LOGIN', 'tim', means())).next('x'), claim)
    assert.equal(second.next('').kind, 'refused')
    assert.equal(challenged(begin('LOGIN', 'a\0b', means())).next('x').kind, 'malformed')
  })
})

describe('OAUTHBEARER and XOAUTH2', () => {
  it('give token and identity; a bad token is told, answered, and then refused', () => {
    // RFC 7628 4.1.
    const bearer =
      'n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01'
    const step = begin('OAUTHBEARER', bearer, means())
    assert.ok(step.kind === 'token')
    assert.equal(step.authorize, 'user@example.com')
    assert.equal(step.token, 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==')
    const told = challenged(step.fail())
    assert.equal(told.data, '{"status":"invalid_token"}')
    assert.equal(told.next('\x01').kind, 'refused')
    const older = begin('XOAUTH2', 'user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb\x01\x01', means())
    assert.ok(older.kind === 'token')
    assert.deepEqual([older.authorize, older.token], ['someuser@example.com', 'ya29.vF9dft4qmTc2Nvb'])
    assert.equal(challenged(older.fail()).next('').kind, 'refused')
  })
  for (const bad of [
    '',
    'n,,',
    'n,,\x01\x01',
    'n,,\x01auth=Basic x\x01\x01',
    'p=tls-exporter,,\x01auth=Bearer x\x01\x01',
  ])
    it(`OAUTHBEARER refuses ${JSON.stringify(bad)}`, () =>
      assert.equal(begin('OAUTHBEARER', bad, means()).kind, 'malformed'))
  for (const bad of ['', 'user=a', 'auth=Bearer x\x01\x01', 'user=a\x01auth=Bearer x', 'user=a\x01auth=Bearer\x01\x01'])
    it(`XOAUTH2 refuses ${JSON.stringify(bad)}`, () => assert.equal(begin('XOAUTH2', bad, means()).kind, 'malformed'))
})

describe('any bytes', () => {
  const piece = fc.constantFrom(
    'n,,',
    'y,',
    'p=tls-exporter,',
    'n=',
    'r=',
    'a=',
    ',',
    '=2C',
    '\0',
    '\x01',
    'auth=Bearer ',
  )
  const message = fc
    .array(fc.oneof(piece, fc.string({ unit: 'binary', maxLength: 20 })), { maxLength: 12 })
    .map((parts) => parts.join('').replace(/[^\0-\xff]/gu, '?'))

  it('never throw, and never prove anything', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...mechanisms),
        fc.option(message, { nil: undefined }),
        fc.array(message),
        (...all) => {
          const [mechanism, initial, responses] = all
          let step = begin(mechanism, initial, means({ 'tls-exporter': 'x' }))
          for (const response of responses) {
            if (step.kind === 'verifiers') step = step.resume({ salt, iterations: 4096, verifiers: [kept] })
            else if (step.kind === 'token') step = step.fail()
            else if (step.kind === 'challenge') step = step.next(response)
          }
          assert.notEqual(step.kind, 'proven')
        },
      ),
      { numRuns: 2000 },
    )
  })
})
