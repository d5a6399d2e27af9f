/** DMARC against the 40 cases that were written from RFC 9989, and against another reader of it, in zones made at random. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { dmarc } from 'mailauth/lib/dmarc/index.js'
import { fromText } from '../../src/base/byte-string.ts'
import { asciiForm } from '../../src/system/ascii-form.ts'
import { dmarcAuthor } from '../../src/protocols/dkim/author-domain.ts'
import type { TextAnswer } from '../../src/protocols/dmarc/tree-walk.ts'
import { type DmarcVerdict, type Identity, evaluateAuthor } from '../../src/protocols/dmarc/verdict.ts'
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
      const { domain } = dmarcAuthor(fromText(`From: ${from}\n`), asciiForm)
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
  const steps = evaluateAuthor(domain, identities)
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

const names = [
  ...['test', 'org.test', 'a.org.test', 'b.org.test', 'x.a.org.test', 'other.test', 'y.other.test'],
  ...['l5.l6.l7.a.org.test', 'l6.l7.a.org.test', 'l1.l2.l3.l4.l5.l6.l7.a.org.test'],
]
const records = [
  'v=DMARC1; p=reject',
  'v=DMARC1; p=none',
  'v=DMARC1; p=quarantine; sp=reject',
  'v=DMARC1; p=none; np=reject',
  'v=DMARC1; p=reject; psd=y',
  'v=DMARC1; p=reject; psd=n',
  'v=DMARC1; p=reject; adkim=s; aspf=s',
  'v=DMARC1; p=reject; t=y',
  'v=DMARC1; p=quarantine; sp=none; np=reject; psd=y',
  'v=DMARC1; p=bad',
  'v=DMARC1; rua=mailto:a@b.test',
  'hello',
]

describe('another reader of RFC 9989', () => {
  const name = fc.constantFrom(...names)
  const zones = fc.tuple(
    fc.dictionary(
      name.map((one) => `_dmarc.${one}`),
      fc.constantFrom(...records),
    ),
    fc.uniqueArray(name),
  )
  const author = fc.constantFrom(...names.slice(1))
  it('comes to the same end', () =>
    fc.assert(
      fc.asyncProperty(
        zones,
        author,
        fc.array(author, { maxLength: 2 }),
        fc.option(author),
        async ([texts, existing], domain, signed, permitted) => {
          const zone: Record<string, { TXT?: string[] }> = {}
          for (const one of existing) zone[one] = {}
          for (const [at, text] of Object.entries(texts)) zone[at] = { TXT: [text] }
          const passes = [
            ...signed.map((by): Identity => ({ by: 'dkim', domain: by, result: 'pass' })),
            ...(permitted === null ? [] : [{ by: 'spf', domain: permitted, result: 'pass' } as const]),
          ]
          const { verdict } = judged(domain, passes, zone)
          const theirs = await dmarc({
            headerFrom: [`x@${domain}`],
            spfDomains: permitted === null ? [] : [permitted],
            dkimDomains: signed.map((by) => ({ id: by, domain: by, aligned: false as const })),
            resolver: (at: string) => {
              const answer = answerOf(zone, at)
              if (answer.kind === 'found') return Promise.resolve(answer.texts.map((text) => [text]))
              const code = answer.kind === 'absent' ? 'ENOTFOUND' : 'ENODATA'
              return Promise.reject(Object.assign(new Error(code), { code }))
            },
          })
          assert.ok(theirs !== false)
          assert.equal(verdict.result, theirs.status.result)
          if (verdict.policy !== undefined) assert.equal(verdict.policy, theirs.policy)
        },
      ),
      { numRuns: 500 },
    ))
})
