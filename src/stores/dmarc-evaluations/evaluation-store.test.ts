import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { EvaluatedRow } from '../../protocols/dmarc/report-writer.ts'
import { EvaluationStore, type Evaluations, type StoreLimits } from './evaluation-store.ts'

function storeFor(t: TestContext, limits?: StoreLimits): EvaluationStore {
  const directory = mkdtempSync(join(tmpdir(), 'quaver-evaluated-'))
  const store = EvaluationStore.open(directory, () => undefined, limits)
  t.after(() => {
    store.close()
    rmSync(directory, { recursive: true })
  })
  return store
}

const found: EvaluatedRow = {
  ip: '192.0.2.1',
  disposition: 'none',
  dkim: false,
  spf: false,
  reasons: [],
  from: 'a.test',
  sender: 'a.test',
  signatures: [],
  spfResult: undefined,
}

function of(domain: string, ip: string, day = 10): Evaluations {
  const strictness = { isDkimStrict: false, isSpfStrict: false, isTest: false }
  const published = { domain, policy: 'none', subdomains: undefined, absent: undefined, ...strictness } as const
  return { day, published, reportsTo: `mailto:r@${domain}`, row: { ...found, ip }, messages: 2, triggers: 1 }
}

describe('what was found of messages', () => {
  const sum = (store: EvaluationStore, domain: string): number =>
    [...store.rows({ day: 10, domain })].reduce((total, [, messages]) => total + messages, 0)

  it('is added up by day and domain, within bounds, and says what had no room', (t) => {
    const store = storeFor(t, { rowsPerDomainDay: 2, rows: 3, correspondents: 10 })
    const all = ['1', '1', '2', '3'].map((last) => of('a.test', `192.0.2.${last}`))
    store.add([...all, of('b.test', '192.0.2.1'), of('b.test', '192.0.2.2')], () => 'id')
    const [a, b] = store.domainDays(11, 10)
    assert.deepEqual([a?.messages, a?.triggers, a?.leftOut, sum(store, 'a.test')], [8, 4, 2, 6])
    assert.deepEqual([b?.messages, b?.leftOut, sum(store, 'b.test')], [4, 2, 2])
    store.forget({ day: 10, domain: 'a.test' })
    store.add([of('b.test', '192.0.2.2')], () => 'id')
    assert.equal(sum(store, 'b.test'), 4, 'there is room again')
    assert.deepEqual(store.domainDays(10, 10), [])
  })

  it('of days that are over for long, or not yet there, is forgotten', (t) => {
    const store = storeFor(t)
    store.add(
      [1, 9, 10, 12].map((day) => of('a.test', '192.0.2.1', day)),
      () => 'id',
    )
    store.prune(10)
    assert.deepEqual(
      store.domainDays(99, 10).map(({ day }) => day),
      [9, 10],
    )
  })

  it('is told to whom we write, or below whose name, for a month; the oldest go first', (t) => {
    const store = storeFor(t, { rowsPerDomainDay: 2, rows: 3, correspondents: 2 })
    store.meet(['mail.a.test'], 10)
    const known = (today: number): boolean[] =>
      ['mail.a.test', 'a.test', 'xa.test', 'il.a.test', 'b.mail.a.test'].map((domain) => store.isKnown(domain, today))
    assert.deepEqual(known(10), [true, true, false, false, false])
    assert.deepEqual(known(39), [true, true, false, false, false])
    assert.equal(known(40).includes(true), false)
    store.meet(['b.test', 'c.test'], 11)
    assert.equal(known(11).includes(true), false)
  })
})
