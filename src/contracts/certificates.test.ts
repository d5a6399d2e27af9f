import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as fc from 'fast-check'
import {
  type CertificateAnswer,
  type CertificateQuestion,
  chainBytesMax,
  decodeCertificateAnswer,
  decodeCertificateQuestion,
  encodeCertificateAnswer,
  encodeCertificateQuestion,
} from './certificates.ts'
import { ContractError, type Frame } from './frame.ts'

function frameOf(bytes: Buffer): Frame {
  return { type: bytes[4] ?? 0, payload: bytes.subarray(5) }
}

it('certificates: says what was said', () => {
  const questions: CertificateQuestion[] = [
    { kind: 'ask', ref: 1, without: ['mta-sts.a.test'] },
    { kind: 'install', ref: 4_294_967_295, chainPem: 'a chain\n' },
  ]
  for (const one of questions) assert.deepEqual(decodeCertificateQuestion(frameOf(encodeCertificateQuestion(one))), one)
  const request = { names: ['a.test', 'b.test'], optional: ['b.test'], request: Buffer.from([0, 255]) }
  const answers: CertificateAnswer[] = [
    { kind: 'request', ref: 2, ...request, certificatePem: 'pem' },
    { kind: 'request', ref: 2, ...request, certificatePem: undefined },
    { kind: 'installed', ref: 3 },
    { kind: 'refused', ref: 4, why: '/home/ü/tls: no' },
  ]
  for (const one of answers) assert.deepEqual(decodeCertificateAnswer(frameOf(encodeCertificateAnswer(one))), one)
})

it('certificates: what breaks the contract is a ContractError, and no chain is longer than a file may be', () => {
  const long = encodeCertificateQuestion({ kind: 'install', ref: 1, chainPem: 'x'.repeat(chainBytesMax + 1) })
  assert.throws(() => decodeCertificateQuestion(frameOf(long)), ContractError)
  fc.assert(
    fc.property(fc.integer({ min: 195, max: 210 }), fc.uint8Array({ maxLength: 100 }), (type, bytes) => {
      for (const decode of [decodeCertificateQuestion, decodeCertificateAnswer])
        try {
          decode({ type, payload: Buffer.from(bytes) })
        } catch (error) {
          assert.ok(error instanceof ContractError)
        }
    }),
    { numRuns: 300 },
  )
})
