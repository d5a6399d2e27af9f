import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Assignment, SessionGrant, ToLocal } from '../../contracts/assign.ts'
import type { Clock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { type LocalHandle, Locals } from './locals.ts'

const limits = { residentMax: 2, keysMax: 3, runningMax: 3 }

function meaning(local: string): Omit<Assignment, 'key'> {
  return { user: 'u', home: '/h', local, dash: '', ext: '', domain: 'd', defaultDelivery: './Maildir/' }
}

function grant(token: string): SessionGrant {
  const peer = { service: 'pop3', remoteIp: '192.0.2.1', remotePort: 4711 } as const
  return { token: token.repeat(32), account: 'a@d', user: 'u', home: '/h', peer }
}

interface Started {
  readonly uid: number
  readonly told: ToLocal[]
  letGo: boolean
  exit(how: string): void
}

function world(startFails = false, sessionPath = '/run/') {
  const started: Started[] = []
  const log: string[] = []
  let now = 1_000_000
  const timers: (() => void)[] = []
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after(_milliseconds, callback) {
      timers.push(callback)
      return () => undefined
    },
  }
  const locals = new Locals(
    clock,
    realRandom,
    (line) => log.push(line),
    (uid, _gid, onExit): LocalHandle => {
      const process: Started = { uid, told: [], letGo: false, exit: onExit }
      started.push(process)
      return {
        started: startFails ? Promise.reject(new Error('no process')) : Promise.resolve(),
        sessionPath: sessionPath === '' ? undefined : `${sessionPath}${started.length}`,
        tell: (message) => process.told.push(message),
        letGo: () => (process.letGo = true),
      }
    },
    limits,
  )
  const pass = (milliseconds: number): void => {
    now += milliseconds
    for (const callback of timers.splice(0)) callback()
  }
  return { locals, started, log, pass }
}

function toldLocals(started: Started | undefined): string[] {
  return (started?.told ?? []).map((message) => (message.kind === 'assignment' ? message.local : message.kind))
}

describe('locals', () => {
  it('starts one process a uid, and tells it a meaning once', async () => {
    const { locals, started } = world()
    const keys = await Promise.all(['a', 'b', 'a', 'b'].map((local) => locals.keyFor(5, 5, meaning(local))))
    assert.equal(started.length, 1)
    assert.deepEqual(toldLocals(started[0]), ['a', 'b'])
    assert.deepEqual([keys[0], keys[1]], [keys[2], keys[3]])
    assert.notEqual(keys[0], keys[1])
    assert.deepEqual(started[0]?.told[0], { kind: 'assignment', key: keys[0], ...meaning('a') })
  })

  it('retires the least recently used', async () => {
    const { locals, started, pass } = world()
    for (const uid of [1, 2, 1, 3]) {
      await locals.keyFor(uid, 1, meaning('a'))
      pass(1)
    }
    assert.deepEqual(
      started.map(({ uid }) => uid),
      [1, 2, 3],
    )
    assert.deepEqual(
      started.map(({ told }) => told.at(-1)?.kind),
      ['assignment', 'retire', 'assignment'],
    )
    await locals.keyFor(1, 1, meaning('a'))
    assert.equal(started.length, 3)
  })

  it('replaces a process that knows too much', async () => {
    const { locals, started } = world()
    const keys = new Set<number>()
    for (const local of ['a', 'b', 'c', 'd']) keys.add(await locals.keyFor(1, 1, meaning(local)))
    assert.equal(keys.size, 4)
    assert.deepEqual(started.map(toldLocals), [['a', 'b', 'c', 'retire'], ['d']])
  })

  it('starts the next one, with the same keys, where one left that the queue may still name', async () => {
    const { locals, started, pass } = world()
    await locals.keyFor(1, 1, meaning('old'))
    pass(30_000)
    const key = await locals.keyFor(1, 1, meaning('new'))
    started[0]?.exit('exit 0')
    assert.equal(started.length, 2)
    assert.equal(await locals.keyFor(1, 1, meaning('new')), key)
    assert.deepEqual(toldLocals(started[1]), ['new'])
    pass(30_000)
    started[1]?.exit('exit 0')
    assert.equal(started.length, 2)
  })

  it('pauses after a crash', async () => {
    const { locals, started, log, pass } = world()
    await locals.keyFor(1, 1, meaning('a'))
    started[0]?.exit('signal SIGSEGV')
    assert.equal(log.length, 1)
    const other = locals.keyFor(1, 1, meaning('b'))
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(started.length, 1)
    pass(2_001)
    await other
    assert.equal(started.length, 2)
    // What was resolved before the crash is known to the next one too.
    assert.deepEqual(toldLocals(started[1]), ['a', 'b'])
  })

  it('passes on that a process could not be had', async () => {
    const { locals, log } = world(true)
    await assert.rejects(locals.keyFor(1, 1, meaning('a')), /no process/)
    assert.match(log[0] ?? '', /^alert: cannot start a local for uid 1: no process$/)
  })

  it('runs one group a process', async () => {
    const { locals } = world()
    await locals.keyFor(1, 1, meaning('a'))
    await assert.rejects(locals.keyFor(1, 2, meaning('a')), /one process has one group/)
  })

  it('tells the process of a uid of a session, and starts it first if there is none', async () => {
    const { locals, started } = world()
    const opened = await locals.sessionFor(1, 1, grant('1'))
    assert.equal(opened?.path, '/run/1')
    assert.deepEqual(started[0]?.told, [{ kind: 'session', ...grant('1') }])
    await locals.keyFor(1, 1, meaning('a'))
    await locals.sessionFor(1, 1, grant('2'))
    assert.equal(started.length, 1)
    assert.deepEqual(toldLocals(started[0]), ['session', 'a', 'session'])
    assert.equal(opened?.isGone(), false)
    started[0]?.exit('exit 0')
    assert.equal(opened?.isGone(), true)
  })

  it('begins no session in another process while too many run; those that run take more, and mail goes on', async () => {
    const { locals, started } = world()
    for (const uid of [1, 2, 3]) assert.ok((await locals.sessionFor(uid, uid, grant('1'))) !== undefined)
    // Two are resident, one was told to retire and runs on with its session.
    assert.deepEqual(toldLocals(started[0]), ['session', 'retire'])
    assert.equal(await locals.sessionFor(4, 4, grant('1')), undefined)
    assert.equal(await locals.sessionFor(1, 1, grant('1')), undefined)
    assert.ok((await locals.sessionFor(3, 3, grant('2'))) !== undefined)
    await locals.keyFor(4, 4, meaning('a'))
    assert.equal(started.length, 4)
    started[0]?.exit('exit 0')
    started[1]?.exit('exit 0')
    assert.ok((await locals.sessionFor(5, 5, grant('1'))) !== undefined)
  })

  it('a session goes to no process of another group, and to none that takes none', async () => {
    const { locals } = world()
    await locals.sessionFor(1, 1, grant('1'))
    await assert.rejects(locals.sessionFor(1, 2, grant('2')), /has group 2 here, 1 elsewhere/)
    const deaf = world(false, '')
    await assert.rejects(deaf.locals.sessionFor(1, 1, grant('1')), /takes no sessions/)
    const broken = world(true)
    await assert.rejects(broken.locals.sessionFor(1, 1, grant('1')), /no process/)
  })

  it('stops when the last is gone', async () => {
    const { locals, started } = world()
    await locals.keyFor(1, 1, meaning('a'))
    await locals.keyFor(2, 2, meaning('a'))
    let stopped = false
    const stop = locals.stop().then(() => (stopped = true))
    assert.ok(started.every(({ letGo }) => letGo))
    await assert.rejects(locals.keyFor(3, 3, meaning('a')), /stopping/)
    started[0]?.exit('exit 0')
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(stopped, false)
    started[1]?.exit('exit 0')
    await stop
    assert.equal(started.length, 2)
  })
})
