import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type DmarcAuthor, dmarcAuthor } from '../dkim/author-domain.ts'
import { disposition } from './disposition.ts'
import type { TextAnswer } from './tree-walk.ts'
import { type DmarcVerdict, type Identity, evaluateAuthor } from './verdict.ts'

const zoneOf = (zone: Readonly<Record<string, string>>): ((name: string) => TextAnswer) => {
  return (name) => {
    const text = zone[name]
    if (text === undefined) return { kind: 'absent' }
    return text === 'SERVFAIL' ? { kind: 'trouble', why: text } : { kind: 'found', texts: [text] }
  }
}

function evaluated(
  domain: string,
  identities: readonly Identity[],
  zone: Readonly<Record<string, string>>,
): { verdict: DmarcVerdict; asked: string[] } {
  const answer = zoneOf(zone)
  const asked: string[] = []
  const steps = evaluateAuthor(domain, identities)
  let step = steps.next()
  while (step.done !== true) {
    asked.push(step.value)
    step = steps.next(answer(step.value))
  }
  return { verdict: step.value, asked }
}

const strict = { '_dmarc.bank.test': 'v=DMARC1; p=reject' }
const by = (domain: string, how: Identity['by'] = 'dkim', result: Identity['result'] = 'pass'): Identity => ({
  by: how,
  domain,
  result,
})

describe('an author', () => {
  it('is asked about at most eight names, however long his is', () => {
    const { asked } = evaluated('a.b.c.d.e.f.g.h.i.j.k.bank.test', [], {})
    assert.deepEqual(asked.slice(0, 2), ['_dmarc.a.b.c.d.e.f.g.h.i.j.k.bank.test', '_dmarc.g.h.i.j.k.bank.test'])
    assert.equal(asked.length, 8)
  })

  it('is not proven by a stranger, whose name servers are not even asked', () => {
    const { verdict, asked } = evaluated('bank.test', [by('evil.test'), by('evilbank.test', 'spf')], {
      ...strict,
      '_dmarc.evil.test': 'SERVFAIL',
    })
    assert.equal(verdict.result, 'fail')
    assert.ok(!asked.some((name) => name.includes('evil')))
  })

  it('who wants reports is told of DKIM and of SPF; who does not costs no more questions than needed', () => {
    const both = [by('mail.bank.test'), by('evil.test'), by('bounce.bank.test', 'spf')]
    const plain = evaluated('bank.test', both, strict)
    assert.deepEqual(plain.verdict.aligned, { dkim: true, spf: false })
    assert.ok(!plain.asked.includes('_dmarc.bounce.bank.test'))
    const wants = { '_dmarc.bank.test': 'v=DMARC1; p=reject; rua=mailto:r@bank.test' }
    const told = evaluated('bank.test', both, wants)
    assert.deepEqual([told.verdict.result, told.verdict.aligned], ['pass', { dkim: true, spf: true }])
    assert.equal(told.verdict.published?.domain, 'bank.test')
    const half = evaluated('bank.test', both, { ...wants, '_dmarc.bounce.bank.test': 'SERVFAIL' })
    assert.deepEqual([half.verdict.result, half.verdict.aligned], ['pass', { dkim: true, spf: false }])
  })

  it('may be who he says where his own name servers cannot tell', () => {
    assert.equal(evaluated('bank.test', [by('bank.test', 'dkim', 'trouble')], strict).verdict.result, 'temperror')
    assert.equal(evaluated('bank.test', [by('evil.test', 'dkim', 'trouble')], strict).verdict.result, 'fail')
    const below = { ...strict, '_dmarc.mail.bank.test': 'SERVFAIL' }
    assert.equal(evaluated('bank.test', [by('mail.bank.test', 'spf')], below).verdict.result, 'temperror')
    assert.equal(evaluated('bank.test', [by('mail.bank.test'), by('bank.test')], below).verdict.result, 'pass')
  })

  it('of a record that nobody could mean has no policy', () => {
    for (const text of ['v=DMARC1', 'v=DMARC1; p=', 'v=DMARC10; p=reject', 'v=DMARC1; rua=mailto:'])
      assert.equal(evaluated('bank.test', [], { '_dmarc.bank.test': text }).verdict.result, 'none', text)
    const lenient = evaluated('bank.test', [], { '_dmarc.bank.test': 'v=DMARC1;; nonsense; p=reject; p=none' })
    assert.deepEqual([lenient.verdict.result, lenient.verdict.policy], ['fail', 'reject'])
  })
})

describe('whose domain a From names', () => {
  const utf8 = (domain: string): string => (domain === 'b\xc3\xbccher.test' ? 'xn--bcher-kva.test' : domain)
  const authorIn = (lines: readonly string[]): DmarcAuthor => dmarcAuthor(`${lines.join('\n')}\n`, utf8)
  const of = (...lines: string[]): string | undefined => authorIn(lines).domain
  const authors = (...lines: string[]): string => {
    const found = authorIn(lines)
    return found.domain ?? found.authors
  }
  it('28, 29: is the address, not what stands around it', () => {
    assert.equal(of('From: "ceo@bank.test" <x@evil.test>'), 'evil.test')
    assert.equal(of('From: x (ceo@bank.test) <x@EVIL.test.>'), 'evil.test')
    assert.equal(of('From: Some: a@evil.test, b@Evil.test;'), 'evil.test')
    assert.equal(of('From: x@b\xc3\xbccher.test'), 'xn--bcher-kva.test')
  })

  it('is nobody’s where readers could see several, or one that is none', () => {
    for (const lines of [
      ['From: a@bank.test', 'From: x@evil.test'],
      ['From: a@bank.test', 'no field', 'From : x@evil.test'],
      ['From: a@bank.test, x@evil.test'],
      ['From: a@bank.test (', ' <x@evil.test>'],
      ['From: a@bank..test'],
      ['From: a@bank.test-'],
      ['From: a@b\xff.test'],
    ])
      assert.equal(authors(...lines), 'several', lines.join(' | '))
    for (const line of ['Subject: x', 'From: root', 'From: <>', 'From:', 'From: a@[192.0.2.1]', 'From: some:;'])
      assert.equal(authors(line), 'none', line)
    assert.equal(of('From: a@localhost'), 'localhost')
    // Not closed, and every reader sees the same.
    assert.equal(of('From: <a@bank.test'), 'bank.test')
  })
})

describe('what becomes of a failure', () => {
  const nothing = { isTrusted: false, isFromList: false, isBounce: false }
  const one = { isAmbiguous: false, whyNoAuthor: '' }
  const reject = { result: 'fail', policy: 'reject', ...one } as const
  it('is no more than the owner wants, and no more than we do', () => {
    const of = (policy: 'none' | 'quarantine' | 'reject', most: 'none' | 'quarantine' | 'reject'): string =>
      disposition({ result: 'fail', policy, ...one }, most, nothing).action
    assert.deepEqual(
      (['none', 'quarantine', 'reject'] as const).map((most) => [
        of('none', most),
        of('quarantine', most),
        of('reject', most),
      ]),
      [
        ['none', 'none', 'none'],
        ['none', 'quarantine', 'quarantine'],
        ['none', 'quarantine', 'reject'],
      ],
    )
    for (const result of ['pass', 'none', 'temperror'] as const)
      assert.equal(disposition({ ...reject, result }, 'reject', nothing).action, 'none')
  })

  it('is apart for what has no author, and a refusal for what has several, however little we do of policies', () => {
    const none = { result: 'permerror', policy: undefined, isAmbiguous: false, whyNoAuthor: 'no From' } as const
    for (const most of ['quarantine', 'reject'] as const) {
      assert.equal(disposition(none, most, nothing).action, 'quarantine')
      assert.equal(disposition({ ...none, isAmbiguous: true }, most, nothing).action, 'reject')
      assert.equal(disposition({ ...none, isAmbiguous: true }, most, { ...nothing, isTrusted: true }).action, 'none')
    }
    assert.equal(disposition({ ...none, isAmbiguous: true }, 'none', nothing).action, 'none')
  })

  it('31: is nothing for a trusted forwarder, and no refusal of lists and bounces', () => {
    assert.equal(disposition(reject, 'reject', { ...nothing, isTrusted: true }).action, 'none')
    assert.equal(disposition(reject, 'reject', { ...nothing, isFromList: true }).action, 'quarantine')
    assert.equal(disposition(reject, 'reject', { ...nothing, isBounce: true }).action, 'quarantine')
  })
})
