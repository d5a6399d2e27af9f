import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { it } from 'node:test'
import { newSigningKey } from '../../system/keys.ts'
import { integer, objectIdentifier, sequence, time } from './der.ts'
import { certificate, pem, toBeSigned } from './self-signed.ts'

const year = 365.25 * 86_400_000

function make(hostName: string, notBeforeMs: number, notAfterMs: number): X509Certificate {
  const key = newSigningKey()
  const signed = toBeSigned({
    hostName,
    publicKey: key.publicKey,
    serial: Buffer.alloc(16, 0xff),
    notBeforeMs,
    notAfterMs,
  })
  return new X509Certificate(pem('CERTIFICATE', certificate(signed, key.sign(signed))))
}

it('is a certificate that OpenSSL reads, signed by its own key, for its host only', () => {
  const made = make('mail.quaver.test', Date.UTC(2026, 10, 21, 9, 8, 7), Date.UTC(2036, 10, 21, 9, 8, 7))
  assert.equal(made.verify(made.publicKey), true)
  assert.equal(made.subjectAltName, 'DNS:mail.quaver.test')
  assert.equal(made.subject, 'CN=mail.quaver.test')
  assert.equal(made.issuer, made.subject)
  assert.equal(made.checkHost('mail.quaver.test'), 'mail.quaver.test')
  assert.equal(made.checkHost('quaver.test'), undefined)
  assert.equal(made.ca, false)
  assert.equal(made.serialNumber, `7F${'FF'.repeat(15)}`)
  assert.equal(made.validFromDate.toISOString(), '2026-11-21T09:08:07.000Z')
  assert.equal(made.validToDate.toISOString(), '2036-11-21T09:08:07.000Z')
  assert.deepEqual(made.keyUsage, ['1.3.6.1.5.5.7.3.1'])
})

it('a signature over other bytes does not verify', () => {
  const key = newSigningKey()
  const facts = { publicKey: key.publicKey, serial: Buffer.of(1), notBeforeMs: 0, notAfterMs: year }
  const signed = toBeSigned({ ...facts, hostName: 'a.test' })
  const other = toBeSigned({ ...facts, hostName: 'b.test' })
  assert.equal(
    new X509Certificate(certificate(signed, key.sign(other))).verify(
      new X509Certificate(certificate(signed, key.sign(signed))).publicKey,
    ),
    false,
  )
})

it('a long host name is whole in the alternative name and cut in the common name', () => {
  const hostName = `${'a'.repeat(60)}.${'b'.repeat(60)}.test`
  const made = make(hostName, 0, year)
  assert.equal(made.checkHost(hostName), hostName)
  assert.equal(made.subject, `CN=${hostName.slice(0, 64)}`)
})

it('dates from 2050 on take the four-digit form', () => {
  assert.equal(time(Date.UTC(2049, 11, 31, 23, 59, 59)).toString('latin1'), '\x17\x0d491231235959Z')
  assert.equal(time(Date.UTC(2050, 0, 1)).toString('latin1'), '\x18\x0f20500101000000Z')
  assert.equal(make('a.test', 0, Date.UTC(2060, 0, 1)).validToDate.getUTCFullYear(), 2060)
})

it('DER: shortest integers and lengths', () => {
  assert.deepEqual(integer(Buffer.of(0, 0, 0x7f)), Buffer.from('02017f', 'hex'))
  assert.deepEqual(integer(Buffer.of(0x80)), Buffer.from('02020080', 'hex'))
  assert.deepEqual(integer(Buffer.of(0)), Buffer.from('020100', 'hex'))
  assert.deepEqual(objectIdentifier('1.2.840.10045.4.3.2'), Buffer.from('06082a8648ce3d040302', 'hex'))
  assert.deepEqual(sequence(Buffer.alloc(127)).subarray(0, 2), Buffer.from('307f', 'hex'))
  assert.deepEqual(sequence(Buffer.alloc(128)).subarray(0, 3), Buffer.from('308180', 'hex'))
  assert.deepEqual(sequence(Buffer.alloc(256)).subarray(0, 4), Buffer.from('30820100', 'hex'))
})
