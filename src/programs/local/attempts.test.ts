import assert from 'node:assert/strict'
import { fstatSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Assignment } from '../../contracts/assign.ts'
import {
  decodeFromDeliverer,
  encodeToDeliverer,
  type FromDeliverer,
  type ToDeliverer,
} from '../../contracts/deliver.ts'
import { noParams } from '../../contracts/envelope.ts'
import { FrameReader } from '../../contracts/frame.ts'
import type { Status } from '../../base/outcome.ts'
import { crashed, delivered, lspawnStatuses } from '../../protocols/qmail/delivery-status.ts'
import type { Clock } from '../../system/clock.ts'
import type { PassedDescriptor } from '../../system/descriptor-passing.ts'
import { realRandom } from '../../system/random.ts'
import type { StoredBytes } from '../../system/spool.ts'
import { Assignments } from './assignments.ts'
import { Attempts } from './attempts.ts'
import { ContentRoom } from './content.ts'

const known: Assignment = {
  key: 7,
  user: 'u',
  home: '/h',
  local: 'joe',
  dash: '',
  ext: '',
  domain: 'd',
  defaultDelivery: './Maildir/',
}

/** Timers that go off when time is moved. */
class TestClock implements Clock {
  private time = 0
  private timers: { at: number; callback: () => void }[] = []
  now(): number {
    return this.time
  }
  monotonic(): number {
    return this.time
  }
  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.time + milliseconds, callback }
    this.timers.push(timer)
    return () => (this.timers = this.timers.filter((other) => other !== timer))
  }
  pass(milliseconds: number): void {
    this.time += milliseconds
    const due = this.timers.filter(({ at }) => at <= this.time)
    this.timers = this.timers.filter(({ at }) => at > this.time)
    for (const { callback } of due) callback()
  }
}

function world(
  deliver: (content: StoredBytes) => Promise<Status> = () => ok,
  receiveDescriptor?: () => PassedDescriptor | undefined,
) {
  const clock = new TestClock()
  const sent: FromDeliverer[] = []
  const log: string[] = []
  const outgoing = new FrameReader()
  const assignments = new Assignments(clock)
  const attempts = new Attempts({
    clock,
    log: (line) => log.push(line),
    room: new ContentRoom(clock, realRandom, (line) => log.push(line)),
    assignments,
    receiveDescriptor,
    send(bytes) {
      outgoing.push(Buffer.from(bytes), (frame) => sent.push(decodeFromDeliverer(frame) as FromDeliverer))
    },
    checkHome: () => undefined,
    deliver: (_assignment, _attempt, content) => deliver(content),
  })
  const incoming = new FrameReader()
  const receive = (message: ToDeliverer): void =>
    incoming.push(encodeToDeliverer(message), (frame) => attempts.onFrame(frame))
  let left = false
  void attempts.finished.then(() => (left = true))
  return { attempts, assignments, clock, sent, log, receive, hasLeft: () => left }
}

const ok: Promise<Status> = Promise.resolve(delivered('did 1+0+0\n'))

function attempt(ref: number, content: Buffer | undefined, contentBytes = content?.length ?? 0): ToDeliverer {
  const token = '0123456789abcdef'
  const fixed = {
    kind: 'attempt',
    messageId: 1,
    key: 7,
    sender: 's@x',
    recipients: ['joe@d'],
    params: noParams,
  } as const
  return { ...fixed, ref, contentBytes, content, token }
}

/** All that promises have to do. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('attempts', () => {
  it('are announced, delivered and reported', async () => {
    const { attempts, assignments, sent, receive } = world()
    assignments.add(known)
    attempts.begin()
    receive(attempt(3, Buffer.from('x')))
    await settled()
    assert.deepEqual(sent, [
      { kind: 'ready', capacity: 50 },
      { kind: 'report', ref: 3, statuses: [delivered('did 1+0+0\n')] },
    ])
  })

  it('wait a while for their assignment', async () => {
    const { assignments, clock, sent, receive } = world()
    receive(attempt(1, Buffer.from('x')))
    clock.pass(9_999)
    await settled()
    assert.deepEqual(sent, [])
    assignments.add(known)
    await settled()
    assert.equal(sent.length, 1)
    receive({ ...attempt(2, Buffer.from('x')), key: 8 } as ToDeliverer)
    clock.pass(10_000)
    await settled()
    assert.deepEqual(sent[1], {
      kind: 'report',
      ref: 2,
      statuses: [lspawnStatuses.bug],
    })
  })

  for (const bytes of [200_000, 3_000_000]) {
    it(`fetch ${bytes} bytes`, async () => {
      const whole = Buffer.alloc(bytes, 'abc\n')
      const { assignments, sent, receive } = world((content) => {
        assert.ok(Buffer.concat([...content.chunks()]).equals(whole))
        assert.equal(content.bytes, bytes)
        return ok
      })
      assignments.add(known)
      receive(attempt(1, undefined, bytes))
      assert.deepEqual(sent, [{ kind: 'fetch', ref: 1, messageId: 1, token: '0123456789abcdef', asFile: false }])
      for (let at = 0; at < bytes; at += 60_000)
        receive({ kind: 'content', ref: 1, bytes: whole.subarray(at, at + 60_000) })
      receive({ kind: 'contentEnd', ref: 1 })
      await settled()
      assert.deepEqual(sent[1], { kind: 'report', ref: 1, statuses: [delivered('did 1+0+0\n')] })
    })
  }

  it('take a body that comes as a file, and close it', async () => {
    const path = join(tmpdir(), `quaver-attempts-${process.pid}`)
    const body = 'x'.repeat(199_990)
    const cases: readonly [tag: number | undefined, size: number, expected: 'delivered' | 'deferred'][] = [
      [1, 199_990, 'delivered'],
      [1, 199_991, 'deferred'],
      [2, 199_990, 'deferred'],
      [undefined, 199_990, 'deferred'],
    ]
    for (const [tag, size, expected] of cases) {
      writeFileSync(path, body.padEnd(size, 'y'))
      let fd = -1
      const receive = (): PassedDescriptor | undefined => {
        if (tag === undefined) return undefined
        fd = openSync(path, 'r')
        return { tag, fd }
      }
      const {
        assignments,
        sent,
        receive: hear,
      } = world((content) => {
        for (const into of [undefined, () => Buffer.alloc(1000)]) {
          let read = ''
          for (const chunk of content.chunks(into)) read += chunk.toString('latin1')
          assert.equal(read, `0123456789${body}`)
        }
        assert.equal(content.bytes, 200_000)
        return ok
      }, receive)
      assignments.add(known)
      hear(attempt(1, undefined, 200_000))
      assert.deepEqual(sent[0], { kind: 'fetch', ref: 1, messageId: 1, token: '0123456789abcdef', asFile: true })
      hear({ kind: 'contentFile', ref: 1, head: '0123456789' })
      await settled()
      const status = expected === 'delivered' ? delivered('did 1+0+0\n') : lspawnStatuses.noContent
      assert.deepEqual(sent[1], { kind: 'report', ref: 1, statuses: [status] })
      if (tag !== undefined) assert.throws(() => fstatSync(fd), { code: 'EBADF' })
      rmSync(path)
    }
  })

  it('are deferred when the content fails, is too short, too long, or stops coming', async () => {
    const { assignments, clock, sent, receive } = world()
    assignments.add(known)
    const end = [
      () => receive({ kind: 'contentFailed', ref: 1 }),
      () => receive({ kind: 'contentEnd', ref: 2 }),
      () => {
        receive({ kind: 'content', ref: 3, bytes: Buffer.alloc(60_000) })
        receive({ kind: 'content', ref: 3, bytes: Buffer.alloc(10_001) })
      },
      () => clock.pass(120_000),
    ]
    for (const [index, fail] of end.entries()) {
      sent.length = 0
      receive(attempt(index + 1, undefined, 70_000))
      fail()
      await settled()
      const peerText = 'qmail-spawn unable to open message. (#4.3.0)\n'
      assert.deepEqual(sent[1], {
        kind: 'report',
        ref: index + 1,
        statuses: [{ ...lspawnStatuses.noContent, peerText }],
      })
    }
  })

  it('do not end one another: a bug is logged and deferred', async () => {
    const { assignments, sent, log, receive } = world(() => Promise.reject(new Error('oops')))
    assignments.add(known)
    receive(attempt(1, Buffer.from('x')))
    await settled()
    assert.deepEqual(sent, [{ kind: 'report', ref: 1, statuses: [crashed('local')] }])
    assert.match(log[0] ?? '', /^alert: bug: Error: oops/)
  })

  it('retire after a minute without work, and go on if some came in between', async () => {
    const { attempts, assignments, clock, sent, receive, hasLeft } = world()
    assignments.add(known)
    attempts.begin()
    clock.pass(59_999)
    receive(attempt(1, Buffer.from('x')))
    await settled()
    clock.pass(59_999)
    assert.ok(!sent.some(({ kind }) => kind === 'retire'))
    clock.pass(1)
    assert.equal(sent.at(-1)?.kind, 'retire')
    receive(attempt(2, Buffer.from('x')))
    receive({ kind: 'retired' })
    assert.equal(sent.at(-1)?.kind, 'ready')
    await settled()
    assert.equal(sent.at(-1)?.kind, 'report')
    assert.equal(hasLeft(), false)
    clock.pass(60_000)
    assert.equal(sent.at(-1)?.kind, 'retire')
    receive({ kind: 'retired' })
    await settled()
    assert.equal(hasLeft(), true)
  })

  it('leave as soon as they are asked to, but not while a session is held', async () => {
    const { attempts, sent, receive, hasLeft } = world()
    attempts.begin()
    const release = attempts.hold()
    attempts.retireWhenIdle()
    assert.equal(sent.at(-1)?.kind, 'ready')
    attempts.stay()
    release()
    assert.equal(sent.at(-1)?.kind, 'ready')
    attempts.retireWhenIdle()
    assert.equal(sent.at(-1)?.kind, 'retire')
    // A session in the very moment: it is the only process of its uid.
    const late = attempts.hold()
    receive({ kind: 'retired' })
    assert.equal(sent.at(-1)?.kind, 'ready')
    late()
    receive({ kind: 'retired' })
    await settled()
    assert.equal(hasLeft(), true)
  })

  it('finish what came in between when the process is to end', async () => {
    const { attempts, assignments, sent, receive, hasLeft } = world()
    assignments.add(known)
    attempts.begin()
    attempts.retire()
    receive(attempt(2, Buffer.from('x')))
    receive({ kind: 'retired' })
    assert.equal(hasLeft(), false)
    await settled()
    assert.equal(sent.at(-1)?.kind, 'report')
    assert.equal(hasLeft(), true)
  })

  it('refuse frames that are not for a local', () => {
    const { receive } = world()
    assert.throws(() => receive({ kind: 'resolve', ref: 1, messageId: 1, recipient: 'joe@d' }), /unexpected frame/)
  })
})
