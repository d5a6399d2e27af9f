/** The session listener of a `local`, and fronts that lie. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { FakeClock } from '#test/kit/smtpd.ts'
import type { SessionGrant } from '../../contracts/assign.ts'
import { encodeHello } from '../../contracts/hello.ts'
import { encodeSessionStart } from '../../contracts/sessions.ts'
import { sessionFacts } from '#test/kit/session-facts.ts'
import { type Bound, bindPath } from '../../system/bind.ts'
import type { GrantedSession, RunningSession } from './session.ts'
import { Sessions } from './sessions.ts'

const facts = { ...sessionFacts, extended: true }
const hello = encodeHello({ purpose: 'session', uid: 0 })

function grant(letter: string, account = 'anna@lab.example', service: 'pop3' | 'submission' = 'pop3'): SessionGrant {
  const peer = { service, remoteIp: '192.0.2.7', remotePort: 4711 } as const
  return { token: letter.repeat(32), account, user: 'u', home: `/h/${account.split('@')[0]}`, peer }
}
const start = (letter: string): Buffer => encodeSessionStart({ token: letter.repeat(32), facts })

describe('sessions of a local', () => {
  let directory = ''
  let bound: Bound
  let sessions: Sessions
  let clock: FakeClock
  let held = 0
  let broken = false
  const log: string[] = []
  const served: { granted: GrantedSession; end(): void; stopped: boolean; ticks: number }[] = []

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-sessions-'))
    bound = bindPath(join(directory, 's'), 0o600)
    bound.listen()
    clock = new FakeClock()
    ;[held, broken] = [0, false]
    log.splice(0)
    served.splice(0)
    const serve = (granted: GrantedSession): RunningSession => {
      if (broken) throw new Error('no tools')
      const { promise, resolve } = Promise.withResolvers<void>()
      const end = (): void => {
        granted.socket.destroy()
        resolve()
      }
      const one = { granted, end, stopped: false, ticks: 0 }
      served.push(one)
      granted.socket.write('+OK \r\n')
      return { ended: promise, tick: () => one.ticks++, shutdown: () => (one.stopped = true) }
    }
    const setting = {
      clock,
      log: (line: string) => log.push(line),
      serve: { pop3: serve, submission: serve },
      hold() {
        held++
        return () => held--
      },
    }
    sessions = new Sessions(setting, { sessionsMax: 3, sessionsOfAccountMax: 2, waitingMax: 2 })
    sessions.serve(bound.fd)
  })
  afterEach(() => {
    sessions.shutdown()
    for (const { end } of served) end()
    rmSync(directory, { recursive: true })
  })

  /** What was said until the first word, or the end. */
  async function come(...bytes: readonly Buffer[]): Promise<{ socket: Socket; said: string }> {
    const socket = connect({ path: join(directory, 's') })
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    socket.write(Buffer.concat(bytes))
    const said = await new Promise<string>((resolve) => {
      socket.once('data', (data: Buffer) => resolve(data.toString('latin1')))
      socket.once('close', () => resolve(''))
    })
    return { socket, said }
  }
  const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10))

  it('a token opens the session it was granted for, and keeps the process until its end', async () => {
    sessions.expect(grant('a'))
    assert.equal(held, 1)
    const { said } = await come(hello, start('a'))
    assert.equal(said, '+OK \r\n')
    assert.equal(served[0]?.granted.grant.account, 'anna@lab.example')
    assert.deepEqual(served[0]?.granted.facts, facts)
    assert.equal(held, 1)
    clock.advance(1000)
    assert.equal(served[0]?.ticks, 1)
    served[0]?.end()
    await settled()
    assert.equal(held, 0)
  })

  it('those of an account that was revoked end, begun or not; those of others go on', async () => {
    for (const letter of ['a', 'b']) sessions.expect(grant(letter))
    sessions.expect(grant('c', 'bob@lab.example'))
    await come(hello, start('a'))
    await come(hello, start('c'))
    sessions.revoke('anna@lab.example')
    assert.deepEqual(
      served.map(({ stopped }) => stopped),
      [true, false],
    )
    assert.equal((await come(hello, start('b'))).said, '')
  })

  it('those of a service whose front stops end; those of the other go on', async () => {
    sessions.expect(grant('a'))
    sessions.expect(grant('b', 'bob@lab.example', 'submission'))
    await come(hello, start('a'))
    await come(hello, start('b'))
    sessions.close('submission')
    assert.deepEqual(
      served.map(({ stopped }) => stopped),
      [false, true],
    )
  })

  it('a token is good once, and for half a minute', async () => {
    sessions.expect(grant('a'))
    sessions.expect(grant('b'))
    assert.notEqual((await come(hello, start('a'))).said, '')
    assert.equal((await come(hello, start('a'))).said, '')
    clock.advance(30_000)
    assert.equal(held, 1)
    assert.equal((await come(hello, start('b'))).said, '')
    assert.equal(log.filter((line) => line === 'alert: login shows a token that is not good').length, 2)
    assert.equal(served.length, 1)
  })

  it('nothing else opens one', async () => {
    sessions.expect(grant('a'))
    const giant = Buffer.alloc(5)
    giant.writeUInt32BE(9000)
    for (const bytes of [
      [hello, start('g')],
      [hello, hello],
      [start('a')],
      [encodeHello({ purpose: 'login', uid: 0 }), start('a')],
      [encodeHello({ purpose: 'local', uid: 0 })],
      [hello, giant],
      [Buffer.alloc(100, 0xff)],
    ])
      assert.equal((await come(...bytes)).said, '')
    assert.equal(served.length, 0)
    assert.equal((await come(hello, start('a'))).said, '+OK \r\n')
  })

  it('who says nothing is closed in time', async () => {
    const socket = connect({ path: join(directory, 's') })
    await once(socket, 'connect')
    await settled()
    clock.advance(10_000)
    await once(socket.resume(), 'close')
    assert.match(log[0] ?? '', /no session was started/)
  })

  it('one session too many of an account, or of all, is told so in its protocol, and is no alarm', async () => {
    for (const letter of ['a', 'b', 'c']) sessions.expect(grant(letter))
    await come(hello, start('a'))
    await come(hello, start('b'))
    assert.equal((await come(hello, start('c'))).said, '-ERR [IN-USE] authup too many sessions\r\n')
    sessions.expect(grant('d', 'bob@lab.example'))
    assert.equal((await come(hello, start('d'))).said, '+OK \r\n')
    sessions.expect(grant('e', 'carl@lab.example', 'submission'))
    assert.match((await come(hello, start('e'))).said, /^454 4\.3\.2 authup too many sessions, try again later/)
    assert.ok(
      log.every((line) => line.startsWith('refused a session of ')),
      log.join(),
    )
    assert.equal(held, 3)
    served[0]?.end()
    await settled()
    sessions.expect(grant('f'))
    assert.equal((await come(hello, start('f'))).said, '+OK \r\n')
  })

  it('connections without a token are bounded', async () => {
    const idle = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const socket = connect({ path: join(directory, 's') })
        await once(socket, 'connect')
        return socket
      }),
    )
    sessions.expect(grant('a'))
    assert.equal((await come(hello, start('a'))).said, '')
    for (const socket of idle) socket.destroy()
    await settled()
    assert.equal((await come(hello, start('a'))).said, '+OK \r\n')
  })

  it('a session that cannot begin is closed, and keeps nothing', async () => {
    broken = true
    sessions.expect(grant('a'))
    assert.equal((await come(hello, start('a'))).said, '')
    assert.equal(held, 0)
    assert.match(log[0] ?? '', /^alert: bug: a session of anna@lab\.example: no tools/)
    broken = false
    for (const letter of ['b', 'c']) {
      sessions.expect(grant(letter))
      assert.equal((await come(hello, start(letter))).said, '+OK \r\n')
    }
  })

  it('a process that ends tells its sessions, and takes none', async () => {
    sessions.expect(grant('a'))
    sessions.expect(grant('b'))
    await come(hello, start('a'))
    const waiting = connect({ path: join(directory, 's') })
    await once(waiting, 'connect')
    await settled()
    sessions.shutdown()
    assert.equal(served[0]?.stopped, true)
    assert.equal(held, 1)
    sessions.expect(grant('c'))
    assert.equal(held, 1)
    waiting.write(Buffer.concat([hello, start('b')]))
    await once(waiting.resume(), 'close')
    assert.equal(served.length, 1)
    assert.ok(!log.some((line) => line.startsWith('alert:')), log.join())
  })
})
