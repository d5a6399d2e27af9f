import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hashPassword, parsePasswordHash, verifyPassword } from './password-hash.ts'

const salt = 'c29tZXNhbHRzb21lc2FsdA'
const tag = 'A'.repeat(43)

describe('password hashes', () => {
  it('are argon2id with a salt of their own, and verify', async () => {
    const phc = await hashPassword('secret')
    assert.match(phc, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    assert.notEqual(phc, await hashPassword('secret'))
    const known = parsePasswordHash(phc)
    assert.ok(known !== undefined)
    assert.equal(await verifyPassword('secret', known), true)
    assert.equal(await verifyPassword('secret2', known), false)
  })

  it('made by the reference implementation verify with their own parameters', async () => {
    // `argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32` of "password", from the reference implementation's own tests.
    const known = parsePasswordHash(
      '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    )
    assert.ok(known !== undefined)
    assert.equal(await verifyPassword('password', known), true)
  })

  for (const [why, phc] of [
    ['another algorithm', `$argon2i$v=19$m=8,t=1,p=1$${salt}$${tag}`],
    ['another version', `$argon2id$v=16$m=8,t=1,p=1$${salt}$${tag}`],
    ['more than 64 MiB', `$argon2id$v=19$m=65537,t=1,p=1$${salt}$${tag}`],
    ['more than ten passes', `$argon2id$v=19$m=8,t=11,p=1$${salt}$${tag}`],
    ['no pass', `$argon2id$v=19$m=8,t=0,p=1$${salt}$${tag}`],
    ['more than four lanes', `$argon2id$v=19$m=64,t=1,p=5$${salt}$${tag}`],
    ['no lane', `$argon2id$v=19$m=8,t=1,p=0$${salt}$${tag}`],
    ['too much work in all', `$argon2id$v=19$m=65536,t=5,p=1$${salt}$${tag}`],
    ['too little memory for its lanes', `$argon2id$v=19$m=8,t=1,p=2$${salt}$${tag}`],
    ['a hash that is no base64', `$argon2id$v=19$m=8,t=1,p=1$${salt}$${'!'.repeat(43)}`],
    ['more fields', `$argon2id$v=19$m=8,t=1,p=1$${salt}$${tag}$x`],
    ['a line', `$argon2id$v=19$m=8,t=1,p=1$${salt}$${tag}\n`],
    ['nothing', ''],
  ] as const)
    it(`refuses ${why}`, () => assert.equal(parsePasswordHash(phc), undefined))
})
