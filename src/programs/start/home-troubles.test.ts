import assert from 'node:assert/strict'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { homeAt } from '../../stores/home/layout.ts'
import { explainTrouble, type Trouble } from '../../contracts/troubles.ts'
import type { Clock } from '../../system/clock.ts'
import { LogFile } from '../../system/log.ts'
import { fullness, HomeTroubles, type TroubleSources } from './home-troubles.ts'

const home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-troubles-')))
mkdirSync(home.control)
after(() => rmSync(home.path, { recursive: true }))

const hour = 3_600_000
/** A clock that somebody sets. */
class SetClock implements Clock {
  wall = Date.now()
  private passed = 0
  now(): number {
    return this.wall
  }
  monotonic(): number {
    return this.passed
  }
  after(): () => void {
    return () => undefined
  }
  pass(milliseconds: number): void {
    this.passed += milliseconds
    this.wall += milliseconds
  }
}

const sources: TroubleSources = { programs: () => Promise.resolve([]), certificates: () => [], log: () => undefined }
const expired: Trouble = { kind: 'certificate-expired', where: '/tls', text: '' }

function begin(): { readonly clock: SetClock; readonly texts: () => Promise<string[]> } {
  const clock = new SetClock()
  const troubles = new HomeTroubles(home, sources, clock)
  const texts = async (): Promise<string[]> =>
    (await troubles.look()).filter(({ kind }) => kind === 'clock').map(({ text }) => text)
  return { clock, texts }
}

it('a log that takes nothing is a trouble of its home, until it takes lines again', async (test) => {
  const fd = openSync('/dev/full', 'w')
  test.after(() => closeSync(fd))
  const file = new LogFile(fd)
  const log = (): Trouble | undefined =>
    file.lostBecause === '' ? undefined : { kind: 'log', where: '/log', text: file.lostBecause }
  const troubles = new HomeTroubles(home, { ...sources, log }, new SetClock())
  file.open('start', 'stamp')('lost')
  file.flush()
  const [told] = await troubles.look()
  assert.deepEqual([told?.program, told?.kind, told?.where], ['start', 'log', '/log'])
  assert.match(told?.text ?? '', /ENOSPC/)
  assert.match(
    explainTrouble({ kind: 'log', where: '/log' }),
    /cannot be written.* To do: check free space, owner and mode of \/log/,
  )
})

describe('the clock of a home', () => {
  it('how long a trouble is there does not follow it', async () => {
    const clock = new SetClock()
    const troubles = new HomeTroubles(home, { ...sources, certificates: () => [expired] }, clock)
    await troubles.look()
    clock.wall += 365 * 24 * hour
    clock.pass(hour)
    const [told] = (await troubles.look()).filter(({ kind }) => kind === expired.kind)
    assert.equal(clock.now() - (told?.sinceMs ?? 0), hour)
  })

  it('is no trouble while time passes, and one for an hour after it was set, either way', async () => {
    const { clock, texts } = begin()
    clock.pass(5 * hour)
    assert.deepEqual(await texts(), [])
    for (const jump of [48 * hour, -48 * hour]) {
      clock.wall += jump
      assert.match((await texts()).join(), new RegExp(`^it was set by ${jump / 1000} s at `))
      clock.pass(hour - 1)
      assert.equal((await texts()).length, 1)
      clock.pass(2)
      assert.deepEqual(await texts(), [])
    }
  })
  it('is wrong where control/ was changed tomorrow', async () => {
    const { clock, texts } = begin()
    const tomorrow = new Date(clock.now() + 25 * hour)
    utimesSync(home.control, tomorrow, tomorrow)
    assert.match((await texts()).join(), /control was changed at /)
    utimesSync(home.control, new Date(), new Date())
    assert.deepEqual(await texts(), [])
  })
})

describe('a disk', () => {
  const gibibyte = 2 ** 18
  it('is full by its bytes, its share or its files, whichever is less', () => {
    const room = { bsize: 4096, blocks: 100 * gibibyte, bavail: gibibyte, files: 1000, ffree: 10 }
    assert.equal(fullness(room), undefined)
    assert.equal(fullness({ ...room, bavail: 4095 }), '16773120 bytes and 10 files are left')
    assert.equal(fullness({ ...room, bavail: 4096 }), undefined)
    assert.notEqual(fullness({ ...room, ffree: 0 }), undefined)
    assert.equal(fullness({ ...room, files: 0, ffree: 0 }), undefined)
    // A small one: a hundredth.
    assert.equal(fullness({ ...room, blocks: 1000, bavail: 10 }), undefined)
    assert.notEqual(fullness({ ...room, blocks: 1000, bavail: 9 }), undefined)
  })
})
