/** DKIM against the suites that others and we collected: dkim-edge (129 messages), chasquid's (11), mail-auth's (6). */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { KeyAnswer } from '../../src/protocols/dkim/verify.ts'
import { parted, verified, zoneOf } from '../kit/dkim-message.ts'
import { sharedJson, sharedPath, skipWithout } from '../kit/shared.ts'

interface EdgeCase {
  readonly name: string
  /** A word a signature, from the top. */
  readonly expect: string
  readonly dns: Readonly<Record<string, readonly string[]>>
}

/** Where the suite leaves it open, or has the RFC's word and not ours. */
const ours: Readonly<Record<string, readonly string[]>> = {
  'l-append': ['policy'],
  'l-zero': ['policy'],
  'l-too-long': ['policy'],
  r8192: ['policy'],
  r512: ['policy'],
  'key-two': ['pass'],
  'key-pkcs1': ['pass'],
  'key-t-y-bad': ['none'],
  'sig-twelve': Array.from({ length: 8 }, () => 'pass'),
}

describe('dkim-edge', { skip: skipWithout('suites', 'dkim-edge') }, () => {
  const cases = sharedJson<readonly EdgeCase[]>('suites', 'dkim-edge', 'cases.json') ?? []
  it('has its cases', () => assert.equal(cases.length, 129))
  for (const { name, expect, dns } of cases)
    it(name, async () => {
      const message = readFileSync(sharedPath('suites', 'dkim-edge', `${name}.eml`) ?? '', 'latin1')
      const { signatures, skipped } = await verified(message, zoneOf(dns))
      const results = signatures.map(({ result }) => result)
      assert.equal(skipped, name === 'sig-twelve' ? 4 : 0)
      const wanted = ours[name]
      if (wanted !== undefined) assert.deepEqual(results, wanted)
      else
        assert.deepEqual(
          results.map((result) => (result === 'pass' ? 'pass' : 'fail')),
          expect.split(' '),
          JSON.stringify(signatures),
        )
    })
})

interface ChasquidResult {
  readonly Results: readonly { readonly State: string; readonly Domain: string }[]
}

describe('chasquid', { skip: skipWithout('suites', 'chasquid-dkim') }, () => {
  const directory = sharedPath('suites', 'chasquid-dkim') ?? ''
  const names = [
    '01-rfc8463',
    '02-too_many_headers',
    '03-bad_message',
    '04-bad_dkim_signature_header',
    '05-dns_temp_error',
    '06-dns_perm_error',
    '07-algo_mismatch',
    '08-our_signature',
    '09-limited_body',
    '10-strict_domain_check_pass',
    '11-strict_domain_check_fail',
  ]
  const states: Readonly<Record<string, string>> = {
    pass: 'SUCCESS',
    temperror: 'TEMPFAIL',
    policy: 'SUCCESS by others',
  }
  for (const name of names)
    it(name, async () => {
      const file = (ending: string): string => join(directory, `${name}.${ending}`)
      const dns = existsSync(file('dns')) ? readFileSync(file('dns'), 'latin1') : ''
      const { signatures } = await verified(readFileSync(file('msg'), 'latin1'), chasquidZone(dns), 1_700_000_000)
      const expected = existsSync(file('result'))
        ? (JSON.parse(readFileSync(file('result'), 'utf8')) as ChasquidResult).Results.map(({ State }) => State)
        : []
      // We do not honour l=, and look at eight signatures where chasquid looks at five.
      if (name.startsWith('09')) expected[0] = 'SUCCESS by others'
      if (name.startsWith('02')) for (let at = 0; at < 2; at++) expected.push('SUCCESS')
      assert.deepEqual(
        signatures.map(({ result }) => states[result] ?? 'PERMFAIL'),
        expected,
        JSON.stringify(signatures),
      )
    })
})

function chasquidZone(text: string): (name: string) => KeyAnswer {
  const records: Record<string, string[]> = {}
  for (const line of text.replaceAll(/\\\n\s*/g, '').split('\n')) {
    const [, name, value] = /^([^:]+):\s*(.*)$/.exec(line) ?? []
    if (name !== undefined && value !== undefined) (records[name] ??= []).push(value)
  }
  const zone = zoneOf(records)
  return (name) => {
    const value = records[name]?.[0]
    if (value === 'TEMPERROR') return { kind: 'trouble', why: value }
    return value === 'PERMERROR' ? { kind: 'absent' } : zone(name)
  }
}

describe('mail-auth', { skip: skipWithout('suites', 'mail-auth', 'dkim') }, () => {
  for (const name of ['001', '002', '003', '004', '005', '006'])
    it(name, async () => {
      const file = readFileSync(sharedPath('suites', 'mail-auth', 'dkim', `${name}.txt`) ?? '', 'latin1')
      const { header: zone, body: message } = parted(file)
      const records: Record<string, string[]> = {}
      for (const line of zone.trim().split('\n')) {
        const blank = line.indexOf(' ')
        ;(records[line.slice(0, blank)] ??= []).push(line.slice(blank + 1))
      }
      const signedAt = Math.max(0, ...[...message.matchAll(/\bt=(\d+)/g)].map(([, time]) => Number(time)))
      const { signatures } = await verified(message, zoneOf(records), signedAt)
      assert.ok(signatures.length > 0)
      for (const { result, reason } of signatures) assert.equal(result, 'pass', reason)
    })
})
