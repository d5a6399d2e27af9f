import assert from 'node:assert/strict'
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { before, describe, it } from 'node:test'
import type { SignQuestion } from '../../contracts/signing.ts'
import { keyText } from '../../protocols/dkim/key-text.ts'
import { newPrivateKey, publicBytes } from '../../system/signatures.ts'
import { bodyDigest, verified, zoneOf } from '#test/kit/dkim-message.ts'
import { signatures, type SignerWorld } from './signatures.ts'

const body = 'Hello,\n\nAnna\n'
const header = 'From: Anna <anna@example.org>\nTo: joe@elsewhere.test\nSubject: hello\n'

describe('signer', () => {
  let rsa: KeyObject
  let ed25519: KeyObject
  before(async () => {
    rsa = createPrivateKey(await newPrivateKey('rsa'))
    ed25519 = createPrivateKey(await newPrivateKey('ed25519'))
  })
  const world = (more: Partial<SignerWorld> = {}): SignerWorld => ({
    domains: () => new Map([['example.org', 'q1,q2']]),
    key: (_, selector) => (selector === 'q1' ? rsa : ed25519),
    owns: (uid, domain) => Promise.resolve(uid === 1001 && domain === 'example.org'),
    now: () => 1_800_000_000,
    ...more,
  })
  const question = (more: Partial<SignQuestion> = {}): SignQuestion => {
    return { ref: 1, uid: 1001, isOurs: false, header, bodySha256: bodyDigest('relaxed', [body]).sha256, ...more }
  }
  const records = () =>
    zoneOf({
      'q1._domainkey.example.org': [keyText('rsa', publicBytes(rsa))],
      'q2._domainkey.example.org': [keyText('ed25519', publicBytes(ed25519))],
    })

  it('signs with each key of the author’s domain, so that others can verify', async () => {
    const answer = await signatures(question(), world())
    assert.ok(answer.kind === 'signed')
    const { signatures: verdicts } = await verified(`${answer.fields}${header}\n${body}`, records(), 1_800_000_000)
    assert.deepEqual(
      verdicts.map(({ result, selector, algorithm }) => [result, selector, algorithm]),
      [
        ['pass', 'q1', 'rsa-sha256'],
        ['pass', 'q2', 'ed25519-sha256'],
      ],
    )
    // Another From on top is seen.
    const forged = `From: boss@example.org\n${answer.fields}${header}\n${body}`
    const after = await verified(forged, records(), 1_800_000_000)
    assert.deepEqual(
      after.signatures.map(({ result }) => result),
      ['fail', 'fail'],
    )
  })

  it('signs for nobody to whom the domain does not belong, whatever the message says', async () => {
    const answer = await signatures(question({ uid: 1002 }), world())
    assert.ok(answer.kind === 'unsigned' && answer.why.includes('uid 1002'), JSON.stringify(answer))
    assert.equal((await signatures(question({ uid: 1002, isOurs: true }), world())).kind, 'signed')
  })

  it('leaves unsigned what has no key, no single author, or our signature already', async () => {
    const kinds = async (text: string, more: Partial<SignerWorld> = {}): Promise<string> =>
      (await signatures(question({ header: text }), world(more))).kind
    assert.equal(await kinds('From: a@elsewhere.test\n'), 'unsigned')
    assert.equal(await kinds(`${header}From: b@elsewhere.test\n`), 'unsigned')
    assert.equal(await kinds(header, { domains: () => undefined }), 'unsigned')
    const first = await signatures(question(), world())
    assert.ok(first.kind === 'signed')
    assert.equal(await kinds(first.fields + header), 'unsigned')
    // Of the two keys one has signed: the other does, too.
    const half = await signatures(
      question({ header: `DKIM-Signature: v=1; d=Example.org; s=q1; b=\n${header}` }),
      world(),
    )
    assert.ok(half.kind === 'signed' && half.fields.includes('s=q2;') && !half.fields.includes('s=q1;'))
  })

  it('says that it cannot sign for now, where a key is missing or nobody knows whose the domain is', async () => {
    const missing = await signatures(question(), world({ key: () => undefined }))
    assert.ok(missing.kind === 'failed' && missing.why.includes('no key q1 of example.org'))
    const owns = () => Promise.reject(new Error('users/assign: EACCES'))
    const unknown = await signatures(question(), world({ owns }))
    assert.ok(unknown.kind === 'failed' && unknown.why.includes('users/assign'))
  })
})
