/** A qmail that was stopped in mid-delivery moves in and out again: nothing is lost, nothing that was delivered is sent
 *  again, and births, due times and bounce texts stay. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Attempt } from '../../src/contracts/deliver.ts'
import { launcher, run } from '../kit/instance.ts'
import {
  type ExpectedMessage,
  type FoundMessage,
  manifestOf,
  qmailHomes,
  routedMessages,
  unpack,
} from '../kit/qmail-home.ts'
import { QueueProcess } from '../kit/queue-process.ts'
import { skipWithout } from '../kit/shared.ts'
import { rolesFile, roles, uidOf, withoutSystemHome } from '../kit/system-instance.ts'

const isRoot = process.getuid?.() === 0
const skip = skipWithout('fixtures', 'manifest.json') || (isRoot && withoutSystemHome())

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

describe('adopt', { skip }, () => {
  for (const fixture of qmailHomes) describe(fixture.archive, () => checkFixture(fixture))
})

function checkFixture(fixture: (typeof qmailHomes)[number]): void {
  const { messages } = manifestOf(fixture)
  const wanted = messages.filter(({ conclude }) => conclude.action !== 'ignore')
  const qmail = unpack(fixture)
  // Accounts are looked up by root only; bounces are compared whole.
  const queue = new QueueProcess({ bouncemaxbytes: '0\n', ...(isRoot ? { roles: rolesFile } : {}) })
  const home = queue.home.path
  const exported = join(qmail.base, 'exported')
  const adopted = Date.now() / 1000
  after(async () => {
    await queue.dispose()
    rmSync(qmail.base, { recursive: true, force: true })
  })
  const adopt = (...options: string[]): ReturnType<typeof run> =>
    run(launcher, ['adopt', qmail.path, '--home', home, '--json', ...options])

  before(async () => {
    // It is made anew, as it belongs to an account of its own.
    rmSync(join(home, 'queue'), { recursive: true })
    chmodSync(home, 0o755)
    const dry = await adopt('--dry-run')
    assert.equal(dry.code, 0, dry.stderr)
    assert.ok(!existsSync(join(home, 'control/me')) && !existsSync(join(home, 'queue/queue.db')))
    const { code, stdout, stderr } = await adopt()
    assert.equal(code, 0, stderr)
    const report = JSON.parse(stdout) as { found: { queue: { messages: number } }; done: boolean; broken: unknown[] }
    assert.deepEqual([report.found.queue.messages, report.broken, report.done], [wanted.length, [], true])
  })

  it('control, users and alias are what they were', () => {
    for (const name of ['control/virtualdomains', 'control/locals', 'users/assign', 'control/tcprules/smtp'])
      assert.deepEqual(readFileSync(join(home, name)), readFileSync(join(qmail.path, name)), name)
    assert.ok(statSync(join(home, 'users/cdb')).size > 2048)
    assert.equal(statSync(join(home, 'queue/queue.db')).mode & 0o077, 0)
  })

  it('takes the same messages only once', async () => {
    const { code, stdout } = await adopt()
    assert.equal(code, 1)
    assert.match(stdout, /were taken over on 20/)
  })

  it('goes out again as it came', async () => {
    const { code, stderr } = await run(launcher, ['queue', 'export', exported, '--home', home])
    assert.equal(code, 0, stderr)
    const found = routedMessages(join(qmail.base, 'exported'))
    assert.equal(found.length, wanted.length)
    const unmatched = new Set(found)
    for (const message of wanted) {
      const same = [...unmatched].find((one) => sha256(one.content) === message.sha256)
      assert.ok(same, `message ${message.id} is missing`)
      unmatched.delete(same)
      assertSame(same, message, adopted)
    }
  })

  it('delivers what qmail would have, and bounces what it would have', async () => {
    const told = new Map<string, string[]>()
    const bounces: string[] = []
    const byHash = new Map(wanted.map((message) => [message.sha256, message]))
    const note = (channel: string, attempt: Attempt): void => {
      const { content, sender, recipients, contentBytes } = attempt
      const message =
        content === undefined ? wanted.find(({ size }) => size === contentBytes) : byHash.get(sha256(content))
      for (const recipient of recipients) {
        if (message !== undefined) append(told, message.sha256, `${channel} ${sender} ${recipient}`)
        else bounces.push(`${sender} ${bounceHash(content ?? Buffer.alloc(0))}`)
      }
    }
    const expected = wanted.flatMap(({ replay }) => replay?.bounce ?? [])
    const hashes = new Set(expected.map((bounce) => bounce.body_after_headers_sha256))
    // What we send ends in a line end, whatever the message ended in.
    const bounceHash = (content: Buffer): string =>
      [bodyOf(content), bodyOf(content).subarray(0, -1)].map(sha256).find((hash) => hashes.has(hash)) ?? 'another'
    await queue.start()
    await queue.remote((attempt) => {
      note('remote', attempt)
      return attempt.recipients.map(() => ({ letter: 'K', text: 'ok\n' }))
    })
    await queue.local((attempt) => {
      note('local', attempt)
      return { letter: 'K', text: 'ok\n' }
    })
    await queueIsEmpty(queue)
    for (const message of wanted) {
      const asked = (message.replay?.deliveries ?? []).map((one) => `${one.channel} ${one.sender} ${one.recipient}`)
      assert.deepEqual(told.get(message.sha256)?.toSorted() ?? [], asked.toSorted(), `message ${message.id}`)
    }
    assert.deepEqual(
      bounces.toSorted(),
      expected.map((bounce) => `${bounce.sender} ${bounce.body_after_headers_sha256}`).toSorted(),
    )
  })
}

describe('adopt, of a home that is half there', { skip: isRoot && withoutSystemHome() }, () => {
  const base = mkdtempSync(join(tmpdir(), 'quaver-half-'))
  const [source, home] = [join(base, 'qmail'), join(base, 'home')]
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  before(() => {
    chmodSync(base, 0o755)
    if (isRoot) write(join(home, 'control/roles'), rolesFile)
    write(join(source, 'control/me'), 'h.example')
    write(join(source, 'control/queuelifetime'), '7d\n')
    write(join(source, 'control/concurrencyremote'), '30 at once\n')
    write(join(source, 'control/domainkeys/h.example/default'), 'a key\n')
    // Everybody's to read, as qmail-srs needed it.
    write(join(source, 'control/srs_secrets'), 'a secret\n')
    write(join(source, 'queue/mess/1/1'), 'Received: (qmail 7 invoked by uid 5001); 1 Dec 2026 00:00:00 -0000\n\nx\n')
    write(join(source, 'queue/info/1/1'), 'F\0')
    write(join(source, 'queue/remote/1/1'), 'Ta@x.example\0')
    write(join(source, 'queue/mess/2/2'), 'x\n')
    write(join(source, 'queue/info/2/2'), '')
  })
  after(() => rmSync(base, { recursive: true, force: true }))
  const adopt = (...options: string[]): ReturnType<typeof run> =>
    run(launcher, ['adopt', source, '--home', home, ...options])

  it('names what is damaged, and writes nothing', async () => {
    const { code, stdout } = await adopt()
    assert.equal(code, 1)
    assert.match(stdout, /queue\/info\/2\/2 is empty: nobody knows its sender; --leave-broken takes the others/)
    assert.ok(!existsSync(join(home, 'control/me')))
  })

  it('writes nothing over what is there', async () => {
    write(join(home, 'control/me'), 'another.example\n')
    const { code, stdout } = await adopt('--leave-broken')
    assert.equal(code, 1)
    assert.match(stdout, /home\/control\/me is there already and says something else/)
    assert.equal(readFileSync(join(home, 'control/me'), 'utf8'), 'another.example\n')
    rmSync(join(home, 'control/me'))
  })

  it('takes the rest, and writes numbers as qmail read them', async () => {
    const { code, stdout, stderr } = await adopt('--leave-broken')
    assert.equal(code, 0, stdout + stderr)
    assert.match(stdout, /queue: 1 message,/)
    const written = (name: string): string => readFileSync(join(home, 'control', name), 'utf8')
    assert.deepEqual(['me', 'queuelifetime', 'concurrencyremote', 'defaultdelivery'].map(written), [
      'h.example',
      '7\n',
      '30\n',
      './Mailbox\n',
    ])
  })

  it('keeps keys for the account that signs', () => {
    const { mode, uid } = statSync(join(home, 'control/domainkeys/h.example/default'))
    assert.equal(mode & 0o777, 0o600)
    if (isRoot) assert.equal(uid, uidOf(roles.signer))
  })

  it('keeps secrets for who reads them', () => {
    const { mode, uid } = statSync(join(home, 'control/srs_secrets'))
    assert.equal(mode & 0o777, 0o600)
    if (isRoot) assert.equal(uid, uidOf(roles.queue))
  })

  it('moves out, and is gone here', async () => {
    const target = join(base, 'out')
    const { code, stdout, stderr } = await run(launcher, [
      'queue',
      'export',
      target,
      '--home',
      home,
      '--move',
      '--json',
    ])
    assert.equal(code, 0, stderr)
    assert.equal((JSON.parse(stdout) as { messages: number }).messages, 1)
    assert.deepEqual(
      routedMessages(target).map(({ remote }) => remote?.text),
      ['Ta@x.example\0'],
    )
    const again = await run(launcher, ['queue', 'export', join(base, 'second'), '--home', home, '--json'])
    assert.equal((JSON.parse(again.stdout) as { messages: number }).messages, 0)
  })

  it('is refused where there is no qmail', async () => {
    const { code, stderr } = await run(launcher, ['adopt', base, '--home', home])
    assert.equal(code, 1)
    assert.match(stderr, /is no home of a qmail: there is no directory control in it/)
    rmSync(join(source, 'queue'), { recursive: true })
    assert.match((await adopt()).stderr, /queue is not there: --no-queue takes the rest/)
    assert.equal((await adopt('--no-queue')).code, 0)
  })
})

/** What qmail's files say now, as the manifest says it. */
function assertSame(found: FoundMessage, message: ExpectedMessage, adopted: number): void {
  const place = `message ${message.id}`
  assert.equal(found.sender, message.sender, place)
  assert.equal(found.bounce, message.bounce, place)
  const isRouted = message.state === 'S5'
  if (isRouted) assert.equal(found.birth, message.birth, place)
  else assert.ok(found.birth >= Math.floor(adopted), `${place} is as old as its adoption`)
  for (const channel of ['local', 'remote'] as const) {
    const here = message.recipients.filter((recipient) => recipient.channel === channel)
    const records = here.map(({ mark, address }) => `${mark}${address}\0`)
    assert.equal(found[channel]?.text, records.length === 0 ? undefined : records.join(''), place)
    if (isRouted) assert.equal(found[channel]?.due, message.next_due[channel], place)
    else if (here.length > 0) assert.ok((found[channel]?.due ?? 0) <= Date.now() / 1000, `${place} is due`)
  }
}

function append(map: Map<string, string[]>, key: string, value: string): void {
  const known = map.get(key)
  if (known === undefined) map.set(key, [value])
  else known.push(value)
}

function bodyOf(content: Buffer): Buffer {
  return content.subarray(content.indexOf('\n\n') + 2)
}

async function queueIsEmpty(queue: QueueProcess): Promise<void> {
  const until = Date.now() + 60_000
  for (;;) {
    const [counts] = await queue.ask({ op: 'counts' })
    if (counts?.['messages'] === 0) return
    assert.ok(Date.now() < until, `${String(counts?.['messages'])} messages are still there\n${queue.log.slice(-2000)}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
