import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { it } from 'node:test'
import { without } from '#test/kit/tool.ts'
import { requestKey } from '../../system/keys.ts'
import { pem } from './self-signed.ts'
import { requestToBeSigned, signedRequest } from './signing-request.ts'

const keys = {
  'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  RSA: generateKeyPairSync('rsa', { modulusLength: 2048 }),
}

for (const [name, { privateKey }] of Object.entries(keys))
  it(`a request with a key of ${name} is one that OpenSSL verifies, for all its names`, {
    skip: without('openssl'),
  }, () => {
    const key = requestKey(privateKey.export({ type: 'pkcs8', format: 'pem' }))
    assert.ok(typeof key !== 'string')
    const signed = requestToBeSigned({ hostNames: ['mail.test', 'mx.test'], publicKey: key.publicKey })
    const request = pem('CERTIFICATE REQUEST', signedRequest(signed, key.kind, key.sign(signed)))
    const said = execFileSync('openssl', ['req', '-verify', '-noout', '-text'], { input: request, stdio: 'pipe' })
    assert.match(said.toString(), /Subject: *\n[^]*Subject Alternative Name: *\n *DNS:mail\.test, DNS:mx\.test\n/)
  })

it('keys that authorities do not certify, and what is no key, are refused without a byte of it', () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const text = privateKey.export({ type: 'pkcs8', format: 'pem' })
  assert.equal(requestKey(text), 'holds a key (ed25519) that authorities do not certify')
  assert.equal(requestKey('secret'), 'holds no unencrypted private key in PEM form')
})
