import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { discoveryUrl, keysUrl, parseIssuer, readKeys } from './issuers.ts'

describe('OAuth issuers', () => {
  it('a line names issuer, audience and claim', () => {
    assert.deepEqual(parseIssuer('https://id.example.org/realms/mail \t quaver email'), {
      url: 'https://id.example.org/realms/mail',
      audience: 'quaver',
      claim: 'email',
    })
    for (const bad of [
      '',
      'https://x.test',
      'http://x.test a b',
      'https://u@x.test a b',
      'https://x.test a b c',
      'x a b',
    ])
      assert.equal(parseIssuer(bad), undefined, bad)
  })
  it('its document must be its own, and its keys be fetched by TLS', () => {
    const issuer = 'https://x.test/'
    assert.equal(discoveryUrl(issuer), 'https://x.test/.well-known/openid-configuration')
    const document = { issuer, jwks_uri: 'https://x.test/keys' }
    assert.equal(keysUrl(document, issuer), 'https://x.test/keys')
    assert.equal(keysUrl(document, 'https://x.test'), undefined)
    assert.equal(keysUrl({ issuer, jwks_uri: 'http://x.test/keys' }, issuer), undefined)
  })
  it('keeps public keys for signatures, and nothing else of them', () => {
    const rsa = { kty: 'RSA', kid: 'a', n: 'AQAB', e: 'AQAB' }
    const keys = [
      { ...rsa, d: 'private', x5c: ['x'] },
      { kty: 'oct', k: 'secret' },
      { ...rsa, use: 'enc' },
      { kty: 'EC', crv: 'P-256', x: 'x' },
      null,
      { kty: 'constructor' },
    ]
    assert.deepEqual(readKeys({ keys }), [rsa])
    assert.equal(readKeys({}), undefined)
  })
  it('no document makes it throw', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        keysUrl(value, 'https://x.test')
        readKeys(value)
        readKeys({ keys: [value] })
      }),
    )
  })
})
