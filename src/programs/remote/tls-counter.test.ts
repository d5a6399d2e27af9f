import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { SessionFact } from '../../protocols/tlsrpt/day.ts'
import { type Home, homeAt } from '../../stores/home/layout.ts'
import { DayFiles } from '../../stores/tls-reports/day-files.ts'
import type { Clock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { TlsCounter } from './tls-counter.ts'

const fact: SessionFact = {
  domain: 'a.example',
  policyType: 'sts',
  policyStrings: ['version: STSv1'],
  exchanger: 'mx.a.example',
  address: '192.0.2.1',
  ownAddress: '192.0.2.9',
  result: 'success',
  why: '',
}

interface World {
  readonly home: Home
  readonly logged: string[]
  time: number
  counter(): TlsCounter
  counts(day: string): Promise<string>
}

async function world(t: TestContext): Promise<World> {
  const path = await mkdtemp(join(tmpdir(), 'quaver-tls-counts-'))
  t.after(() => rm(path, { recursive: true }))
  const home = homeAt(path)
  await mkdir(home.tlsReports)
  const files = new DayFiles(realFiles, home)
  const logged: string[] = []
  const made: World = {
    home,
    logged,
    time: Date.UTC(2026, 11, 1, 23, 59),
    counter() {
      // What is due is written when the test says so.
      const clock: Clock = { now: () => made.time, monotonic: () => made.time, after: () => () => undefined }
      return new TlsCounter(files, clock, (line) => void logged.push(line))
    },
    async counts(day) {
      const [policy] = (await files.read(day)).entries().get('a.example') ?? []
      return `${policy?.successes} ${policy?.failures}`
    },
  }
  return made
}

test('counts are kept by day, and go on after a restart', async (t) => {
  const here = await world(t)
  const before = here.counter()
  await before.open()
  before.count(fact)
  before.count({ ...fact, result: 'certificate-expired', why: 'CERT_HAS_EXPIRED' })
  await before.write()
  const after = here.counter()
  await after.open()
  after.count(fact)
  here.time += 60_000
  after.count({ ...fact, result: 'validation-failure', why: 'x' })
  await after.write()
  const ofToday = await here.counts('2026-12-02')
  assert.deepEqual([await here.counts('2026-12-01'), ofToday], ['2 1', '0 1'])
})

test('ten days are kept; what is no count is none', async (t) => {
  const here = await world(t)
  const name = (day: number): string => join(here.home.tlsReports, `2026-11-${String(day).padStart(2, '0')}.json`)
  for (let day = 10; day < 25; day++) await writeFile(name(day), '{}')
  await writeFile(join(here.home.tlsReports, '2026-12-01.json'), '{"a.example":[{"type":"sts","successes":"many"}]}')
  const counter = here.counter()
  await counter.open()
  counter.count(fact)
  await counter.write()
  assert.equal(await here.counts('2026-12-01'), '1 0')
  await assert.rejects(readFile(name(15)), { code: 'ENOENT' })
  assert.equal(await readFile(name(16), 'utf8'), '{}')
})

test('a disk that takes nothing is told of once, and loses nothing that is still counted', async (t) => {
  const here = await world(t)
  const counter = here.counter()
  await counter.open()
  await rm(here.home.tlsReports, { recursive: true })
  for (let n = 0; n < 3; n++) {
    counter.count(fact)
    await counter.write()
  }
  assert.equal(here.logged.length, 1)
  assert.match(here.logged[0] ?? '', /^warning: counts of TLS sessions cannot be kept: ENOENT/)
  await mkdir(here.home.tlsReports)
  await chmod(here.home.tlsReports, 0o700)
  await counter.write()
  assert.equal(await here.counts('2026-12-01'), '3 0')
})
