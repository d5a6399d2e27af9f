import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { SmallDatabaseError } from '../../system/small-database.ts'
import { type GreylistKey, GreylistStore } from './greylist-store.ts'

const key = (n: number): GreylistKey => ({ ip: '192.0.2.1', sender: `s${n}@from.test`, recipient: 'r@here.test' })
const entry = { firstMs: 1000, good: false, expiresMs: 2000 }

describe('the greylist store', () => {
  let directory: string
  let damage: string[]
  let open: GreylistStore[]
  const store = (entriesMax?: number): GreylistStore => {
    const opened = GreylistStore.open(directory, (text) => damage.push(text), entriesMax)
    open.push(opened)
    return opened
  }
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-greylist-'))
    damage = []
    open = []
  })
  afterEach(() => {
    for (const one of open) {
      try {
        one.close()
      } catch {
        // Closed by the test.
      }
    }
    rmSync(directory, { recursive: true, force: true })
  })

  it('remembers, also after it was closed', () => {
    const first = store()
    assert.equal(first.get(key(1)), undefined)
    first.put(key(1), entry, true)
    first.put(key(1), { ...entry, good: true, expiresMs: 9_000_000_000_000 }, false)
    first.close()
    const again = store()
    assert.deepEqual(again.get(key(1)), { firstMs: 1000, good: true, expiresMs: 9_000_000_000_000 })
    assert.equal(again.count, 1)
    assert.deepEqual(damage, [])
  })
  it('keeps triples apart whose fields run together', () => {
    const one = store()
    one.put({ ip: '1', sender: 'a', recipient: 'bc' }, entry, true)
    assert.equal(one.get({ ip: '1', sender: 'ab', recipient: 'c' }), undefined)
    assert.equal(one.get({ ip: '1a', sender: '', recipient: 'bc' }), undefined)
  })
  it('holds no address', () => {
    const one = store()
    one.put(key(1), entry, true)
    one.close()
    const bytes = readFileSync(join(directory, 'greylist.db')).toString('latin1')
    assert.doesNotMatch(bytes, /from\.test|here\.test|192\.0\.2/)
  })
  it('expires in batches', () => {
    const one = store()
    for (let n = 0; n < 1200; n++) one.put(key(n), { ...entry, expiresMs: n < 1100 ? 2000 : 9000 }, true)
    const more = [one.expire(5000), one.expire(5000), one.expire(5000)]
    assert.deepEqual(more, [true, true, false])
    assert.equal(one.count, 100)
    assert.notEqual(one.get(key(1150)), undefined)
    assert.equal(one.get(key(7)), undefined)
  })
  it('does not grow past its limit: the next to expire go', () => {
    const one = store(1000)
    one.put(key(0), { ...entry, good: true, expiresMs: 1_000_000 }, true)
    for (let n = 1; n <= 5000; n++) {
      one.put(key(n), { ...entry, expiresMs: 2000 + n }, true)
      assert.ok(one.count <= 1000)
    }
    assert.notEqual(one.get(key(0)), undefined)
    assert.notEqual(one.get(key(5000)), undefined)
  })
  it('removes', () => {
    const one = store()
    one.put(key(1), entry, true)
    one.remove(key(1))
    one.remove(key(1))
    assert.equal(one.get(key(1)), undefined)
    assert.equal(one.count, 0)
  })
  it('sets a damaged file aside and begins afresh, every time', () => {
    for (const garbage of ['not a database at all, but long enough to look at'.repeat(100), 'second']) {
      writeFileSync(join(directory, 'greylist.db'), garbage)
      const one = store()
      assert.equal(one.get(key(1)), undefined)
      one.put(key(1), entry, true)
      one.close()
      assert.equal(readFileSync(join(directory, 'greylist.db.damaged'), 'latin1'), garbage)
    }
    assert.equal(damage.length, 2)
    assert.match(
      damage[0] ?? '',
      /file is not a database; set aside as .*greylist\.db\.damaged, all triples are new again/,
    )
  })
  it('finds damage further inside, too', () => {
    const one = store()
    for (let n = 0; n < 500; n++) one.put(key(n), entry, true)
    one.close()
    const path = join(directory, 'greylist.db')
    const bytes = readFileSync(path)
    bytes.fill(0x5a, 4096)
    writeFileSync(path, bytes)
    assert.equal(store().get(key(1)), undefined)
    assert.match(damage.join(), /malformed; set aside as/)
  })
  it('is begun afresh when it is told to', () => {
    const one = store()
    one.put(key(1), entry, true)
    one.close()
    open.push(GreylistStore.afresh(directory, 'disk I/O error', (text) => damage.push(text)))
    assert.equal(open.at(-1)?.get(key(1)), undefined)
    assert.match(damage.join(), /^disk I\/O error; set aside/)
  })
  it("leaves another program's database alone", () => {
    const path = join(directory, 'greylist.db')
    const other = new DatabaseSync(path)
    other.exec('CREATE TABLE mine (x); PRAGMA user_version = 3')
    other.close()
    assert.throws(store, /belongs to another program or a later version/)
    assert.equal(existsSync(`${path}.damaged`), false)
  })
  it('is for one process at a time', () => {
    store().put(key(1), entry, true)
    assert.throws(store, (error: unknown) => error instanceof SmallDatabaseError && !error.damaged)
    assert.deepEqual(damage, [])
  })
})
