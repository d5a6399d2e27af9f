import assert from 'node:assert/strict'
import { stripVTControlCharacters } from 'node:util'
import { it } from 'node:test'
import { DayCounts, type SessionFact } from '../../../protocols/tlsrpt/day.ts'
import { reportTable, rowsOf } from './report.ts'

it('shows by day, domain and policy what was good, and why the rest was not', () => {
  const good: SessionFact = {
    domain: 'a.example',
    policyType: 'sts',
    policyStrings: [],
    exchanger: 'mx.a.example',
    address: '192.0.2.1',
    ownAddress: '',
    result: 'success',
    why: '',
  }
  const counts = new DayCounts()
  const facts: SessionFact[] = [
    good,
    { ...good, domain: 'b.example', policyType: 'no-policy-found' },
    { ...good, domain: 'b.example', policyType: 'tlsa', result: 'certificate-not-trusted', why: 'no\u001b[31m match' },
  ]
  for (const fact of facts) counts.count(fact)
  const days = [{ day: '2026-12-01', counts }]
  const shown = (domain: string | undefined, onlyFailures: boolean): string[] =>
    stripVTControlCharacters(reportTable(rowsOf(days, domain, onlyFailures))).split('\n')
  assert.deepEqual(shown(undefined, false), [
    'day         domain     policy   good  failed',
    '2026-12-01  a.example  MTA-STS  1     0',
    '2026-12-01  b.example  none     1     0',
    '2026-12-01  b.example  DANE     0     1',
    '                                      1 × certificate-not-trusted: mx.a.example (192.0.2.1): no?[31m match',
  ])
  assert.equal(shown('B.example', true).length, 3)
  assert.deepEqual(rowsOf(days, 'a.example', true), [])
})
