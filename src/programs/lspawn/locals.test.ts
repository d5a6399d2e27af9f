import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Assignment, SessionGrant, ToLocal } from '../../contracts/assign.ts'
import type { Clock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { type LocalHandle, Locals } from './locals.ts'

const limits = { startsMax: 3, residentMax: 2, keysMax: 3, runningMax: 3 }

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

type Beginning = 'serves' | 'fails' | 'never' | Promise<void>

function world(start: Beginning = 'serves', sessionPath = '/run/') {
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
        started: beginning(start),
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

function beginning(start: Beginning): Promise<void> {
  if (typeof start !== 'string') return start
  if (start === 'never') return new Promise(() => undefined)
  return start === 'serves' ? Promise.resolve() : Promise.reject(new Error('no process'))
}

/** All that promises have to do. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
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

  it('asks the least recently used to leave where another needs the room, and waits a little for that', async () => {
    const { locals, started, pass } = world()
    for (const uid of [1, 2, 1]) {
      await locals.keyFor(uid, 1, meaning('a'))
      pass(1)
    }
    const third = locals.keyFor(3, 1, meaning('a'))
    await turn()
    assert.deepEqual(started.map(toldLocals), [['a'], ['a', 'retire']])
    started[1]?.exit('exit 0')
    await third
    assert.deepEqual(
      started.map(({ uid }) => uid),
      [1, 2, 3],
    )
  })

  it('never has two processes of a uid: one that was asked to leave and has sessions serves on', async () => {
    const { locals, started, pass } = world()
    const first = await locals.sessionFor(1, 1, grant('1'))
    for (const uid of [2, 3]) {
      pass(1)
      const key = locals.keyFor(uid, uid, meaning('a'))
      await turn()
      pass(2_000)
      await key
    }
    assert.deepEqual(toldLocals(started[0]), ['session', 'retire'])
    await locals.keyFor(1, 1, meaning('a'))
    const second = await locals.sessionFor(1, 1, grant('2'))
    assert.equal(second?.path, first?.path)
    assert.deepEqual(
      started.map(({ uid }) => uid),
      [1, 2, 3],
    )
  })

  it('does not start one again that left because it was asked to; its keys are the next one’s', async () => {
    const { locals, started, pass } = world()
    const key = await locals.keyFor(1, 1, meaning('a'))
    pass(3_000)
    locals.shrink(2_000)
    started[0]?.exit('exit 0')
    assert.equal(started.length, 1)
    assert.equal(await locals.keyFor(1, 1, meaning('a')), key)
    assert.deepEqual(toldLocals(started[1]), ['a'])
  })

  it('has a process forget what nobody has used for long, and replaces none for it', async () => {
    const { locals, started, pass } = world()
    const keys = new Set<number>()
    for (const local of ['a', 'b', 'c', 'd']) keys.add(await locals.keyFor(1, 1, meaning(local)))
    pass(600_000)
    keys.add(await locals.keyFor(1, 1, meaning('e')))
    assert.equal(keys.size, 5)
    assert.deepEqual(toldLocals(started[0]), ['a', 'b', 'c', 'd', 'forget', 'forget', 'forget', 'forget', 'e'])
    assert.equal(started.length, 1)
    const many = Promise.all(Array.from({ length: 20 }, (_, n) => locals.keyFor(1, 1, meaning(`n${n}`))))
    await assert.rejects(many, /15 addresses of uid 1 at once/)
    pass(20_000)
    await locals.keyFor(1, 1, meaning('after the flood'))
  })

  it('starts the next one, with the same keys, where one left that the queue may still name', async () => {
    const { locals, started, pass } = world()
    await locals.keyFor(1, 1, meaning('old'))
    pass(30_000)
    const key = await locals.keyFor(1, 1, meaning('new'))
    started[0]?.exit('exit 0')
    await turn()
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
    await turn()
    assert.equal(started.length, 1)
    pass(2_001)
    await other
    assert.equal(started.length, 2)
    // What was resolved before the crash is known to the next one too.
    assert.deepEqual(toldLocals(started[1]), ['a', 'b'])
  })

  it('passes on that a process could not be had', async () => {
    const { locals, log } = world('fails')
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

  it('begins no session in another process while too many run; those that run take more', async () => {
    const { locals, started, pass } = world()
    for (const uid of [1, 2]) assert.ok((await locals.sessionFor(uid, uid, grant('1'))) !== undefined)
    const third = locals.sessionFor(3, 3, grant('1'))
    await turn()
    pass(2_000)
    assert.ok((await third) !== undefined)
    assert.equal(await locals.sessionFor(4, 4, grant('1')), undefined)
    assert.ok((await locals.sessionFor(1, 1, grant('2'))) !== undefined)
    const mail = locals.keyFor(4, 4, meaning('a'))
    await turn()
    assert.equal(started.length, 3)
    started[0]?.exit('exit 0')
    pass(2_000)
    await mail
    assert.equal(started.length, 4)
  })

  it('tells whose it is while a process is slow to serve, so that the queue counts who waits for it', async () => {
    let serve = (): void => undefined
    const { locals, started, pass } = world(new Promise((resolve) => (serve = resolve)))
    const first = locals.keyFor(1, 1, meaning('a'))
    await turn()
    pass(1_000)
    const key = await first
    const other = locals.keyFor(1, 1, meaning('b'))
    await turn()
    pass(0)
    await other
    assert.deepEqual(toldLocals(started[0]), [])
    serve()
    await turn()
    assert.deepEqual(toldLocals(started[0]), ['a', 'b'])
    assert.equal(await locals.keyFor(1, 1, meaning('a')), key)
  })

  it('waits for a process that does not begin to serve only so long, and for one that keeps crashing not at all', async () => {
    const { locals, pass } = world('never')
    const session = assert.rejects(locals.sessionFor(1, 1, grant('1')), /does not begin to serve/)
    await turn()
    pass(20_000)
    await session
    await assert.rejects(locals.keyFor(1, 1, meaning('a')), /does not begin to serve/)
    const crashing = world('fails')
    await assert.rejects(crashing.locals.keyFor(1, 1, meaning('a')), /no process/)
    crashing.pass(2_000)
    await assert.rejects(crashing.locals.keyFor(1, 1, meaning('a')), /no process/)
    await assert.rejects(crashing.locals.keyFor(1, 1, meaning('a')), /ended badly several times/)
    crashing.pass(4_000)
    await assert.rejects(crashing.locals.keyFor(1, 1, meaning('a')), /no process/)
  })

  it('a session goes to no process of another group, and to none that takes none', async () => {
    const { locals } = world()
    await locals.sessionFor(1, 1, grant('1'))
    await assert.rejects(locals.sessionFor(1, 2, grant('2')), /has group 2 here and 1 elsewhere/)
    const deaf = world('serves', '')
    await assert.rejects(deaf.locals.sessionFor(1, 1, grant('1')), /takes no sessions/)
    const broken = world('fails')
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
    await turn()
    assert.equal(stopped, false)
    started[1]?.exit('exit 0')
    await stop
    assert.equal(started.length, 2)
  })
})
