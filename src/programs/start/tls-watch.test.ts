import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { decodeToProgram, encodeToProgram, type NamedPair, type TlsOrder } from '../../contracts/supervise.ts'
import type { Trouble } from '../../contracts/troubles.ts'
import { FrameReader } from '../../contracts/frame.ts'
import { Authority } from '#test/kit/certificates.ts'
import type { Certificate } from '#test/kit/scripted-server.ts'
import { FakeClock } from '#test/kit/smtpd.ts'
import { without } from '#test/kit/tool.ts'
import { validityOf } from '../../system/keys.ts'
import { planTls } from './tls-order.ts'
import { WatchedTls } from './tls-watch.ts'

const skip = without('openssl')
const dayMilliseconds = 86_400_000

let authority: Authority
let usual: Certificate
let other: Certificate
before(() => {
  if (skip !== false) return
  authority = new Authority()
  usual = authority.issue('x', 'DNS:usual.test')
  other = authority.issue('x', 'DNS:Other.test', 'DNS:*.wild.test', 'IP:127.0.0.1')
})
after(() => authority?.remove())

let directory = ''
let orders: TlsOrder[] = []
let faults: string[] = []
let troubles: string[] = []
let ownName: string | undefined
let clock: FakeClock
let watched: WatchedTls
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quaver-tls-'))
  orders = []
  faults = []
  troubles = []
  ownName = undefined
  clock = new FakeClock()
  // Far from what the files say: they have settled long since.
  clock.time = Date.now() + dayMilliseconds
  const events = {
    onOrder: (one: TlsOrder) => orders.push(one),
    onFault: (one: string) => faults.push(one),
    onTrouble: ({ kind }: Trouble) => troubles.push(kind),
  }
  watched = new WatchedTls(directory, () => ownName, events, clock)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function put(name: string, { cert, key }: Certificate): void {
  const place = join(directory, name)
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'key.pem'), key, { mode: 0o600 })
  writeFileSync(join(place, 'cert.pem'), cert)
}

/** The names of the last order, the certificates behind them. */
function given(): [names: readonly string[], certificatePem: string][] {
  return (orders.at(-1)?.pairs ?? []).map(({ names, certificatePem }) => [names, certificatePem])
}

describe('HOME/tls', { skip }, () => {
  it('the default comes first; a directory is for the exact names of its certificate', async () => {
    put('.', usual)
    put('any', other)
    put('.new', other)
    assert.equal((await watched.begin()).kind, 'pair')
    assert.deepEqual(given(), [
      [[], usual.cert],
      [['other.test'], other.cert],
    ])
    assert.deepEqual(faults, [])
  })

  it('a wildcard makes the name of its directory count', async () => {
    put('.', usual)
    put('mx.wild.test', other)
    await watched.begin()
    assert.deepEqual(given()[1]?.[0], ['other.test', 'mx.wild.test'])
  })

  it('what is gone, out of date, about to be, or for another host is told once, and said for as long as it lasts', async () => {
    const kinds = (): string[] => watched.troubles().map(({ kind }) => kind)
    assert.equal((await watched.begin()).kind, 'absent')
    assert.deepEqual([troubles, kinds()], [['certificate-missing'], ['certificate-missing']])
    put('.', usual)
    const { toMs } = validityOf(usual.cert)
    clock.time = toMs - dayMilliseconds
    await watched.look()
    assert.deepEqual(kinds(), [])
    ownName = 'mx.other.test'
    clock.time = toMs - dayMilliseconds / 2
    await watched.look()
    assert.deepEqual(kinds(), ['certificate-expiring', 'certificate-name'])
    clock.time = toMs + 1
    await watched.look()
    await watched.look()
    assert.deepEqual(kinds(), ['certificate-expired', 'certificate-name'])
    rmSync(join(directory, 'cert.pem'))
    await watched.look()
    assert.deepEqual(kinds(), ['certificate-missing', 'certificate-expired', 'certificate-name'])
    assert.deepEqual(troubles, [
      'certificate-missing',
      'certificate-expiring',
      'certificate-name',
      'certificate-expired',
      'certificate-missing',
    ])
    assert.match(watched.troubles()[1]?.text ?? '', /^it ended on \d{4}-\d\d-\d\d$/)
  })

  it('a wildcard alone in a directory of another name is a fault', async () => {
    put('.', usual)
    put('elsewhere.test', authority.issue('x', 'DNS:*.wild.test'))
    await watched.begin()
    assert.deepEqual(given(), [[[], usual.cert]])
    assert.match(faults.join(), /elsewhere\.test\/cert\.pem names no host: give the directory the name of one/)
  })

  it('without a default nothing is given', async () => {
    put('other.test', other)
    assert.equal((await watched.begin()).kind, 'absent')
    assert.deepEqual(orders, [])
  })

  it('a faulty pair is named once and takes nobody else away; its better successor is taken', async () => {
    put('.', usual)
    put('other.test', { cert: other.cert, key: usual.key })
    await watched.begin()
    await watched.look()
    assert.deepEqual(given(), [[[], usual.cert]])
    assert.deepEqual(faults, [
      `${directory}/other.test/cert.pem and key.pem: certificate and key do not belong together`,
    ])
    put('other.test', other)
    await watched.look()
    assert.deepEqual([orders.length, given().length], [2, 2])
  })

  it('the remedy that a fault names is enough', async () => {
    put('.', usual)
    chmodSync(join(directory, 'key.pem'), 0o640)
    assert.equal((await watched.begin()).kind, 'faulty')
    assert.match(faults[0] ?? '', /may be read by others: chmod 600/)
    chmodSync(join(directory, 'key.pem'), 0o600)
    await watched.look()
    assert.deepEqual(given(), [[[], usual.cert]])
  })

  it('a faulty renewal leaves the pair before in force, also when another directory changes', async () => {
    put('.', usual)
    put('other.test', other)
    await watched.begin()
    put('other.test', { cert: 'nothing', key: other.key })
    put('.', { cert: other.cert, key: usual.key })
    await watched.look()
    assert.deepEqual([orders.length, faults.length], [1, 2])
    const third = authority.issue('x', 'DNS:third.test')
    put('third.test', third)
    await watched.look()
    assert.deepEqual(given(), [
      [[], usual.cert],
      [['other.test'], other.cert],
      [['third.test'], third.cert],
    ])
  })

  it('what has not settled waits', async () => {
    put('.', usual)
    await watched.begin()
    clock.time = Date.now()
    put('.', other)
    await watched.look()
    assert.equal(orders.length, 1)
    clock.time += 2000
    await watched.look()
    assert.deepEqual(given(), [[[], other.cert]])
  })

  it('a directory that is gone leaves its names to the default', async () => {
    put('.', usual)
    put('other.test', other)
    await watched.begin()
    rmSync(join(directory, 'other.test'), { recursive: true })
    await watched.look()
    assert.deepEqual(given(), [[[], usual.cert]])
    assert.deepEqual(faults, [])
  })

  it('a directory without its pair is a fault', async () => {
    put('.', usual)
    mkdirSync(join(directory, 'other.test'))
    await watched.begin()
    assert.deepEqual(faults, [`${directory}/other.test has not both cert.pem and key.pem`])
  })

  it('ticket keys are new with each change and once a day, and stay otherwise', async () => {
    put('.', usual)
    await watched.begin()
    await watched.look()
    assert.equal(orders.length, 1)
    clock.advance(dayMilliseconds + 1)
    await watched.look()
    put('.', other)
    await watched.look()
    const keys = orders.map(({ ticketKeys }) => ticketKeys)
    assert.deepEqual([keys.length, new Set(keys).size], [3, 3])
    for (const key of keys) assert.equal(key.length, 48)
  })
})

describe('one order from many pairs', () => {
  const pair = (names: readonly string[], bytes = 10): NamedPair => {
    return { names, certificatePem: 'c'.repeat(bytes), keyPem: 'k' }
  }

  it('a name belongs to the first directory that has it', () => {
    const named = new Map([
      ['/tls/a', pair(['a.test', 'both.test'])],
      ['/tls/b', pair(['both.test'])],
    ])
    const plan = planTls(pair([]), named)
    assert.deepEqual(
      plan.pairs.map(({ names }) => names),
      [[], ['a.test', 'both.test']],
    )
    assert.deepEqual(plan.faults, ['/tls/b is for both.test too, which gets the certificate of /tls/a'])
  })

  it('as many as fit into a frame; the rest is named', () => {
    const named = new Map(Array.from({ length: 40 }, (_, n) => [`/tls/${n}`, pair([`${n}.test`], 64 * 1024)]))
    const plan = planTls(pair([]), named)
    const { pairs } = plan
    assert.ok(pairs.length > 10 && pairs.length < 20)
    assert.match(plan.faults.join(), /^\/tls\/15 and those after it are too much/)
    const order: TlsOrder = { kind: 'tls', pairs, ticketKeys: '\u00ff'.repeat(48) }
    const read: unknown[] = []
    new FrameReader().push(encodeToProgram(order), (frame) => read.push(decodeToProgram(frame)))
    assert.deepEqual(read, [order])
  })
})
