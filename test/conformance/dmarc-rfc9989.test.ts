/** DMARC against the 40 cases that were written from RFC 9989. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromText } from '../../src/base/byte-string.ts'
import { asciiForm } from '../../src/system/ascii-form.ts'
import { judgedAuthor } from '../../src/protocols/dkim/author-domain.ts'
import type { TextAnswer } from '../../src/protocols/dmarc/tree-walk.ts'
import { type DmarcVerdict, type Identity, judgeAuthor } from '../../src/protocols/dmarc/verdict.ts'
import { sharedJson, skipWithout } from '../kit/shared.ts'

type Zone = Readonly<Record<string, 'SERVFAIL' | { readonly TXT?: readonly (string | readonly string[])[] }>>

interface Case {
  readonly name: string
  readonly zone: Zone
  readonly from: string
  readonly dkimPass: readonly string[]
  readonly spfPass: string | null
  readonly expect: { readonly result: string; readonly policy?: string; readonly organizational?: string }
}

describe('26: dmarc-rfc9989', { skip: skipWithout('suites', 'dmarc-rfc9989') }, () => {
  const cases = sharedJson<readonly Case[]>('suites', 'dmarc-rfc9989', 'cases.json') ?? []
  it('has its cases', () => assert.equal(cases.length, 40))
  for (const { name, zone, from, dkimPass, spfPass, expect } of cases)
    it(name, () => {
      const { domain } = judgedAuthor(fromText(`From: ${from}\n`), asciiForm)
      assert.ok(domain !== undefined)
      const pass = (by: Identity['by'], passed: string): Identity => ({
        by,
        domain: passed.toLowerCase(),
        result: 'pass',
      })
      const identities = [
        ...dkimPass.map((passed) => pass('dkim', passed)),
        ...(spfPass === null ? [] : [pass('spf', spfPass)]),
      ]
      const { verdict, asked } = judged(domain, identities, zone)
      assert.equal(verdict.result, expect.result, verdict.thoughts.join('\n'))
      if (expect.policy !== undefined) assert.equal(verdict.policy, expect.policy)
      if (expect.organizational !== undefined) assert.equal(verdict.organization, expect.organizational)
      assert.ok(asked.length <= 8 * (1 + identities.length))
      assert.equal(new Set(asked.filter((one) => one.startsWith(`_dmarc.${domain}`))).size <= 1, true)
    })
})

function judged(
  domain: string,
  identities: readonly Identity[],
  zone: Zone,
): { verdict: DmarcVerdict; asked: string[] } {
  const asked: string[] = []
  const steps = judgeAuthor(domain, identities)
  let step = steps.next()
  while (step.done !== true) {
    asked.push(step.value)
    step = steps.next(answerOf(zone, step.value))
  }
  return { verdict: step.value, asked }
}

function answerOf(zone: Zone, name: string): TextAnswer {
  const found = zone[name]
  if (found === undefined) return { kind: 'absent' }
  if (found === 'SERVFAIL') return { kind: 'trouble', why: found }
  const texts = (found.TXT ?? []).map((text) => (typeof text === 'string' ? text : text.join('')))
  return texts.length === 0 ? { kind: 'none' } : { kind: 'found', texts }
}
