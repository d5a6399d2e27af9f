/** The openspf.org suite for RFC 7208 through the policy process's own path: SpfCheck, our DNS port, the library. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { SpfCheck } from '../../src/programs/policy/spf-check.ts'
import { realClock } from '../../src/system/clock.ts'
import { realRandom } from '../../src/system/random.ts'
import { sharedPath, skipWithout } from '../kit/shared.ts'
import { ZoneDns, type ZoneRecord } from '../kit/zone-dns.ts'

interface Case {
  readonly helo: string
  readonly host: string
  readonly mailfrom: string
  readonly result: string | readonly string[]
  readonly explanation?: string
}
type ZoneEntry = 'TIMEOUT' | Readonly<Record<string, unknown>>
interface Scenario {
  readonly description: string
  readonly tests: Readonly<Record<string, Case>>
  readonly zonedata: Readonly<Record<string, readonly ZoneEntry[]>>
}

const file = ['suites', 'spf-rfc7208', 'rfc7208-tests.yml'] as const
const casesInSuite = 203
/** Where the suite writes the hex digits of `%{i}` in capitals; RFC 7208 §7.4 writes them small, as names compare anyway. */
const letterCaseDiffers = new Set(['v-macro-ip6'])

const path = sharedPath(...file)
const scenarios =
  path === undefined
    ? []
    : parseAllDocuments(readFileSync(path, 'utf8')).map((document) => document.toJS() as unknown as Scenario)

describe('RFC 7208', { skip: skipWithout(...file) }, () => {
  it('the suite is the whole one', () => {
    const count = scenarios.reduce((sum, { tests }) => sum + Object.keys(tests).length, 0)
    assert.equal(count, casesInSuite)
  })
  for (const { description, tests, zonedata } of scenarios) {
    describe(description, () => {
      for (const [name, one] of Object.entries(tests)) {
        it(name, async () => {
          const check = new SpfCheck({
            dns: dnsOf(zonedata),
            clock: realClock,
            random: realRandom,
            receiver: 'receiver.example',
          })
          const answer = await check.answer({
            ip: one.host,
            helo: Buffer.from(one.helo).toString('latin1'),
            sender: Buffer.from(one.mailfrom).toString('latin1'),
            bestGuess: false,
            refuseOpenPass: false,
          })
          assert.ok([one.result].flat().includes(answer.result), `${answer.result}: ${answer.logText}`)
          if (one.explanation !== undefined) checkExplanation(name, one.explanation, answer.explanation)
        })
      }
    })
  }
})

/** `DEFAULT` in the suite: the domain explains nothing. */
function checkExplanation(name: string, wanted: string, found: string): void {
  const words = /^\S* explains: (.*)$/.exec(found)?.[1] ?? 'DEFAULT'
  if (letterCaseDiffers.has(name)) assert.equal(words.toLowerCase(), wanted.toLowerCase())
  else assert.equal(words, wanted)
}

/** Records of the obsolete type SPF stand for TXT, unless the name has TXT entries of its own (head of the suite). */
function dnsOf(zonedata: Scenario['zonedata']): ZoneDns {
  const dns = new ZoneDns()
  for (const [name, entries] of Object.entries(zonedata)) {
    const records = entries.flatMap((entry) => (entry === 'TIMEOUT' ? [] : Object.entries(entry)))
    const hasTxt = records.some(([type]) => type === 'TXT')
    dns.setName(name, {
      trouble: entries.includes('TIMEOUT'),
      records: records
        .filter(([type, value]) => value !== 'NONE' && (type !== 'SPF' || !hasTxt))
        .map(([type, value]) => recordOf(type, value)),
    })
  }
  return dns
}

function recordOf(type: string, value: unknown): ZoneRecord {
  if (type === 'SPF' || type === 'TXT') return { type: 'TXT', value: [value].flat().join('') }
  if (type === 'MX' && Array.isArray(value)) return { type, value: value.join(' ') }
  return { type: type as ZoneRecord['type'], value: String(value) }
}
