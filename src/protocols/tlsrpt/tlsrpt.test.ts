import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DayCounts, type SessionFact } from './day.ts'
import { makeReport } from './report.ts'

const good: SessionFact = {
  domain: 'a.example',
  policyType: 'no-policy-found',
  policyStrings: [],
  exchanger: 'mx.a.example',
  address: '192.0.2.1',
  ownAddress: '192.0.2.9',
  result: 'success',
  why: '',
}
const withoutTls: SessionFact = { ...good, result: 'starttls-not-supported', why: 'EHLO offers no STARTTLS' }

function counted(...facts: readonly SessionFact[]): ReturnType<DayCounts['entries']> {
  const day = new DayCounts()
  for (const fact of facts) day.count(fact)
  return day.entries()
}

it('makes the report of RFC 8460', () => {
  const policyStrings = ['version: STSv1', 'mode: enforce', 'mx: mx.a.example', 'max_age: 86400']
  const sts: SessionFact = { ...good, policyType: 'sts', policyStrings }
  const fetch: SessionFact = {
    ...sts,
    exchanger: '',
    address: '',
    ownAddress: '',
    result: 'sts-policy-fetch-error',
    why: 'x',
  }
  const policies = counted(good, withoutTls, withoutTls, sts, fetch).get('a.example') ?? []
  const facts = { organization: 'Us', contact: 'postmaster@us.example', day: '2026-12-01', domain: 'a.example' }
  const failure = {
    'result-type': 'starttls-not-supported',
    'sending-mta-ip': '192.0.2.9',
    'receiving-mx-hostname': 'mx.a.example',
    'receiving-ip': '192.0.2.1',
    'failed-session-count': 2,
    'failure-reason-code': 'EHLO offers no STARTTLS',
  }
  const unfetched = { 'result-type': 'sts-policy-fetch-error', 'failed-session-count': 1, 'failure-reason-code': 'x' }
  assert.deepEqual(makeReport({ ...facts, policies }), {
    'organization-name': 'Us',
    'date-range': { 'start-datetime': '2026-12-01T00:00:00Z', 'end-datetime': '2026-12-01T23:59:59Z' },
    'contact-info': 'postmaster@us.example',
    'report-id': '2026-12-01_a.example',
    policies: [
      {
        policy: { 'policy-type': 'no-policy-found', 'policy-domain': 'a.example' },
        summary: { 'total-successful-session-count': 1, 'total-failure-session-count': 2 },
        'failure-details': [failure],
      },
      {
        policy: {
          'policy-type': 'sts',
          'policy-string': policyStrings,
          'policy-domain': 'a.example',
          'mx-host': ['mx.a.example'],
        },
        summary: { 'total-successful-session-count': 1, 'total-failure-session-count': 1 },
        'failure-details': [unfetched],
      },
    ],
  })
})

it('has bounds, whatever others do: domains, policies, exchangers, kinds of failure; the sums go on', () => {
  const many = Array.from({ length: 6_000 }, (_, n) => n)
  const day = counted(
    ...many.map((n): SessionFact => ({ ...withoutTls, address: `192.0.2.${n}`, exchanger: `mx${n}` })),
  )
  const [policy] = day.get('a.example') ?? []
  assert.deepEqual([policy?.failures, policy?.details.length, policy?.exchangers.length], [6_000, 50, 20])
  const policies = counted(...many.map((n): SessionFact => ({ ...good, policyType: 'sts', policyStrings: [`${n}`] })))
  assert.equal(policies.get('a.example')?.length, 20)
  assert.equal(counted(...many.map((n): SessionFact => ({ ...good, domain: `${n}.example` }))).size, 5_000)
  const hostile = many.flatMap((n) =>
    [1, 2, 3].map(
      (kind): SessionFact => ({ ...withoutTls, domain: `${n}.example`, why: `${kind}`, policyStrings: [`${kind}`] }),
    ),
  )
  const all = [...counted(...hostile).values()].flat()
  assert.equal(all.length, 8_000)
})
