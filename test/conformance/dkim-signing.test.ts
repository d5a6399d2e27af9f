/** What we sign others verify, what others sign we verify, and nothing that was changed on the way passes. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { dkimSign } from 'mailauth/lib/dkim/sign.js'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { oversignedFields, signatureField, type SigningKey } from '../../src/protocols/dkim/sign.ts'
import { type Verdict, verifySignatures } from '../../src/protocols/dkim/verify.ts'
import { checkSignature, makeSignature } from '../../src/system/signatures.ts'
import { bodyDigest, parted, verified, zoneOf } from '../kit/dkim-message.ts'

const now = 1_800_000_000
const pairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ed25519: generateKeyPairSync('ed25519'),
}
const zone: Record<string, string[]> = {
  'rsa._domainkey.lab.example': [`v=DKIM1; p=${publicText(pairs.rsa.publicKey, 0)}`],
  // RFC 8463 §4.2: the 32 bytes at the end of the structure alone.
  'ed25519._domainkey.lab.example': [`v=DKIM1; k=ed25519; p=${publicText(pairs.ed25519.publicKey, -32)}`],
}

function publicText(key: KeyObject, from: number): string {
  return key.export({ type: 'spki', format: 'der' }).subarray(from).toString('base64')
}

function signed(message: string, kind: 'rsa' | 'ed25519', validFor?: number): string {
  const { header, body } = parted(message)
  const key: SigningKey = {
    domain: 'lab.example',
    selector: kind,
    algorithm: `${kind}-sha256`,
    sign: (text) => makeSignature(pairs[kind].privateKey, text),
  }
  const facts = { bodySha256: bodyDigest('relaxed', [body]).sha256, now, validFor, oversigned: oversignedFields }
  return `${signatureField(header, key, facts) ?? ''}${header}\n${body}`
}

async function results(message: string, at = now): Promise<string[]> {
  return words(await verified(message, zoneOf(zone), at))
}

function words({ signatures }: Verdict): string[] {
  return signatures.map(({ result }) => result)
}

async function resultsOfOthers(message: string): Promise<string[]> {
  const { results: found } = await dkimVerify(Buffer.from(message.replaceAll('\n', '\r\n'), 'latin1'), {
    resolver: (name: string) => {
      const texts = zone[name]
      return texts === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(texts.map((text) => [text]))
    },
    curTime: new Date(now * 1000),
  })
  return found.map(({ status }) => status.result)
}

const usual = 'From: Joe <joe@lab.example>\nTo: mary@b.example\nSubject: x\nDate: today\nMessage-ID: <1@x>\n'

describe('a message that we sign', () => {
  for (const kind of ['rsa', 'ed25519'] as const) {
    it(`passes, with ${kind}`, async () => {
      const message = signed(`${usual}\nbody\n`, kind)
      assert.deepEqual(await results(message), ['pass'])
      assert.deepEqual(await resultsOfOthers(message), ['pass'])
      for (const line of message.split('\n')) assert.ok(line.length <= 78, line)
    })

    it(`fails after any change that a reader could see, with ${kind}`, async () => {
      const message = signed(`${usual}Content-Type: text/plain\n\nbody\n`, kind)
      for (const name of oversignedFields)
        assert.deepEqual(await results(`${name}: x@y.example\n${message}`), ['fail'], `${name} on top`)
      for (const [from, to] of [
        ['Joe', 'Jo'],
        ['body', 'Body'],
        ['body\n', 'body\nmore\n'],
        ['To: mary@b.example\n', ''],
      ] as const)
        assert.deepEqual(await results(message.replace(from, to)), ['fail'], `${from} becomes ${to}`)
    })
  }

  it('passes with what the next hops add, and with other folding', async () => {
    const message = signed(`${usual}\nbody\n`, 'rsa')
    const trace = 'Received: from x\nReturn-Path: <x@y>\nSender: list@y.example\nList-Id: <list.y.example>\n'
    assert.deepEqual(await results(trace + message), ['pass'])
    assert.deepEqual(await results(message.replace('Joe <', 'Joe\n\t <')), ['pass'])
  })

  it('can have two signatures, of two keys', async () => {
    const message = signed(`${usual}\nbody\n`, 'rsa')
    const both = signed(`${usual}\nbody\n`, 'ed25519').split('From:')[0] + message
    assert.deepEqual(await results(both), ['pass', 'pass'])
    assert.deepEqual(await resultsOfOthers(both), ['pass', 'pass'])
  })

  it('passes until it expires', async () => {
    const message = signed(`${usual}\nbody\n`, 'rsa', 100)
    assert.deepEqual(await results(message, now + 100), ['pass'])
    assert.deepEqual(await results(message, now + 101), ['permerror'])
  })

  it('has a From', () => assert.equal(signed('To: x@y\n\nbody\n', 'rsa'), 'To: x@y\n\nbody\n'))

  it('passes here and elsewhere whatever it says', async () => {
    const word = fc.constantFrom('a', ' ', '  ', '\t', '\n', '\n\n', '\xe9', '=', ';', ':', '.', 'b=c;')
    const value = fc.array(fc.constantFrom('a', ' ', '\n ', '\t', '\xe9', ':', ';', 'b=x', '\n\t'), { maxLength: 8 })
    const name = fc.constantFrom('Subject', 'SUBJECT ', 'to', 'X-A', 'Received', 'List-Id', 'DKIM-Signature-X', 'Date')
    const field = fc.tuple(name, value).map(([key, parts]) => `${key}:${parts.join('')}x\n`)
    const body = fc.array(word, { maxLength: 30 }).map((parts) => parts.join(''))
    await fc.assert(
      fc.asyncProperty(fc.array(field, { maxLength: 6 }), body, async (fields, text) => {
        const message = signed(`${fields.join('')}From: joe@lab.example\n\n${text}`, 'ed25519')
        assert.deepEqual(await results(message), ['pass'])
        assert.deepEqual(await resultsOfOthers(message), ['pass'])
      }),
      { numRuns: 200 },
    )
  })
})

describe('a message that another signs', () => {
  for (const canonicalization of ['simple/simple', 'simple/relaxed', 'relaxed/simple', 'relaxed/relaxed'])
    it(`passes, ${canonicalization}`, async () => {
      const message = 'From:  Joe <joe@lab.example>\r\nTo: a@b\r\n\tc\r\nsubject :x \r\n\r\n a  b \r\n\r\nc\t\r\n\r\n'
      const key = {
        signingDomain: 'lab.example',
        selector: 'rsa',
        privateKey: pairs.rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      }
      const options = { canonicalization, signTime: new Date(now * 1000), ...key, signatureData: [key] }
      const { signatures } = await dkimSign(message, options)
      assert.deepEqual(await results(signatures + message), ['pass'])
    })
})

describe('a message that means harm', () => {
  it('has so many signatures looked at, and the others counted', async () => {
    const message = signed(`${usual}\nbody\n`, 'rsa')
    const field = message.split('From:')[0] ?? ''
    const { signatures, skipped } = await verified(field.repeat(200) + message, zoneOf(zone), now)
    assert.deepEqual([signatures.length, skipped], [8, 193])
    assert.ok(signatures.every(({ result }) => result === 'pass'))
    const long = await verified(`X: ${'x'.repeat(200_000)}\n${message}`, zoneOf(zone), now)
    assert.deepEqual(words(long), ['policy'])
  })

  it('has DNS trouble told as such, and no question asked for what cannot pass', async () => {
    const { header } = parted(signed(`${usual}\nbody\n`, 'rsa'))
    const bodies = { simple: bodyDigest('simple', ['body\n']), relaxed: bodyDigest('relaxed', ['body\n']) }
    const asked: string[] = []
    const verifier = {
      keys: (name: string) => {
        asked.push(name)
        return Promise.resolve({ kind: 'trouble', why: 'SERVFAIL' } as const)
      },
      check: checkSignature,
      now,
    }
    assert.deepEqual(words(await verifySignatures(header, bodies, verifier)), ['temperror'])
    assert.deepEqual(asked, ['rsa._domainkey.lab.example'])
    assert.deepEqual(words(await verifySignatures(header.replace('v=1', 'v=2'), bodies, verifier)), ['permerror'])
    assert.equal(asked.length, 1)
  })

  it('has a key that is none, or of odd numbers', async () => {
    const message = signed(`${usual}\nbody\n`, 'rsa')
    // A modulus of 2048 bits with an exponent of 1, and of zeros.
    for (const key of [odd({ n: 'f'.repeat(512), e: '01' }), odd({ n: 'f'.repeat(512), e: '00' }), 'AAAA', 'MAA=']) {
      const answer = zoneOf({ 'rsa._domainkey.lab.example': [`p=${key}`] })
      assert.match(words(await verified(message, answer, now))[0] ?? '', /^(fail|permerror|policy)$/)
    }
  })
})

/** RSAPublicKey in DER, numbers in hexadecimal. */
function odd({ n, e }: { n: string; e: string }): string {
  const integer = (hex: string): Buffer => element(2, Buffer.from(`00${hex}`, 'hex'))
  return element(0x30, Buffer.concat([integer(n), integer(e)])).toString('base64')
}

function element(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag, 0x82, content.length >> 8, content.length & 255]), content])
}
