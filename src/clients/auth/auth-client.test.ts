import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type AuthRequest, decodeAuthRequest, encodeAuthReply } from '../../contracts/auth.ts'
import { decodeHello } from '../../contracts/hello.ts'
import type { Clock } from '../../system/clock.ts'
import { realClock } from '../../system/clock.ts'
import { connectPath, FrameConnection } from '../../system/frame-connection.ts'
import { type AuthAttempt, AuthClient, type AuthStep } from './auth-client.ts'

const attempt: AuthAttempt = {
  mechanism: 'PLAIN',
  initial: 'a',
  peer: { service: 'pop3', remoteIp: '192.0.2.1', remotePort: 4711 },
  bindings: new Map([['tls-exporter', 'x'.repeat(32)]]),
}
const ticket = 't'.repeat(32)
/** Time limits pass at once. */
const hasty: Clock = { ...realClock, after: (milliseconds, act) => realClock.after(Math.min(milliseconds, 20), act) }

describe('AuthClient', () => {
  let directory = ''
  let server: Server
  let open: FrameConnection[] = []
  let asked: AuthRequest[] = []
  let closing = false
  let client: AuthClient | undefined
  const path = (): string => join(directory, 'authd.sock')

  const serve = async (answer: (request: AuthRequest, connection: FrameConnection) => void): Promise<void> => {
    closing = false
    server = createServer((socket) => {
      if (closing) return void socket.destroy()
      const connection: FrameConnection = new FrameConnection(socket, {
        onFrame: (first) => {
          assert.equal(decodeHello(first).purpose, 'auth')
          connection.handOver({
            onFrame: (frame) => {
              const request = decodeAuthRequest(frame)
              asked.push(request)
              answer(request, connection)
            },
            onClose: () => undefined,
          })
          connection.send(encodeAuthReply({ kind: 'serving', mechanisms: ['SCRAM-SHA-256', 'PLAIN'] }))
        },
        onClose: () => undefined,
      })
      open.push(connection)
    })
    await new Promise<void>((resolve) => server.listen(path(), resolve))
  }
  const connect = (clock: Clock = realClock): AuthClient => (client = new AuthClient(() => connectPath(path()), clock))
  const away = async (): Promise<void> => {
    closing = true
    for (const connection of open) connection.destroy('')
    open = []
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-auth-client-'))
    asked = []
  })
  afterEach(async () => {
    client?.close()
    await away()
    rmSync(directory, { recursive: true, force: true })
  })

  it('tells what is offered, and passes challenges and responses on until the end', async () => {
    await serve((request, connection) => {
      const { ref } = request
      if (request.kind === 'begin') connection.send(encodeAuthReply({ kind: 'challenge', ref, data: 'who?' }))
      else connection.send(encodeAuthReply({ kind: 'accepted', ref, account: 'anna@x.test', ticket }))
    })
    const fresh = connect()
    await fresh.heard()
    assert.deepEqual(fresh.mechanisms(), ['SCRAM-SHA-256', 'PLAIN'])
    const step = await fresh.begin(attempt)
    assert.ok(step.kind === 'challenge')
    assert.equal(step.data, 'who?')
    assert.deepEqual(await step.respond('me'), { kind: 'accepted', account: 'anna@x.test', ticket })
    assert.deepEqual(asked, [
      { kind: 'begin', ref: 1, ...attempt },
      { kind: 'respond', ref: 1, data: 'me' },
    ])
  })

  it('passes a rejection and its reason on; a cancelled exchange is told to authd', async () => {
    await serve((request, connection) => {
      const { ref } = request
      if (request.kind !== 'begin') return
      if (request.initial === undefined) connection.send(encodeAuthReply({ kind: 'challenge', ref, data: '' }))
      else connection.send(encodeAuthReply({ kind: 'rejected', ref, why: 'locked' }))
    })
    assert.deepEqual(await connect().begin(attempt), { kind: 'rejected', why: 'locked' })
    const step = await client?.begin({ ...attempt, initial: undefined })
    assert.ok(step?.kind === 'challenge')
    step.cancel()
    await client?.begin(attempt)
    assert.deepEqual(
      asked.map(({ kind, ref }) => `${kind} ${ref}`),
      ['begin 1', 'begin 2', 'cancel 2', 'begin 3'],
    )
  })

  it('authd gives up while the client thinks: its answer is temporary, and nobody else is disturbed', async () => {
    await serve(({ ref }, connection) => {
      connection.send(encodeAuthReply({ kind: 'challenge', ref, data: '' }))
      connection.send(encodeAuthReply({ kind: 'rejected', ref, why: 'temporary' }))
    })
    const step = await connect().begin(attempt)
    assert.ok(step.kind === 'challenge')
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.deepEqual(await step.respond(''), { kind: 'rejected', why: 'temporary' })
    assert.equal((await client?.begin(attempt))?.kind, 'challenge')
    assert.equal(open.length, 1)
  })

  it('authd gone: what is under way and what is new is temporary, the same is offered; back: it works again', async () => {
    await serve((_, connection) => connection.destroy(''))
    const quick = connect(hasty)
    // It does not wait long for a connection that is not served, either.
    while (!quick.isServed) await new Promise((resolve) => setTimeout(resolve, 1))
    assert.deepEqual(await quick.begin(attempt), { kind: 'rejected', why: 'temporary' })
    await away()
    assert.deepEqual(await quick.begin(attempt), { kind: 'rejected', why: 'temporary' })
    assert.notDeepEqual(quick.mechanisms(), [])
    await serve(({ ref }, connection) =>
      connection.send(encodeAuthReply({ kind: 'rejected', ref, why: 'credentials' })),
    )
    let step: AuthStep = { kind: 'rejected', why: 'temporary' }
    while (step.kind === 'rejected' && step.why === 'temporary') step = await quick.begin(attempt)
    assert.deepEqual(step, { kind: 'rejected', why: 'credentials' })
  })

  it('authd silent: temporary after the deadline, and authd is told', async () => {
    await serve(() => undefined)
    const quick = connect(hasty)
    // It does not wait long for a connection that is not served, either.
    while (!quick.isServed) await new Promise((resolve) => setTimeout(resolve, 1))
    assert.deepEqual(await quick.begin(attempt), { kind: 'rejected', why: 'temporary' })
    while (asked.at(-1)?.kind !== 'cancel') await new Promise((resolve) => setTimeout(resolve, 5))
  })

  it('a client that leaves while authd thinks: the exchange is cancelled at once', async () => {
    await serve(() => undefined)
    const leaving = new AbortController()
    const step = connect().begin(attempt, leaving.signal)
    while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    leaving.abort()
    assert.deepEqual(await step, { kind: 'rejected', why: 'temporary' })
    while (asked.at(-1)?.kind !== 'cancel') await new Promise((resolve) => setTimeout(resolve, 5))
    assert.deepEqual(await client?.begin(attempt, leaving.signal), { kind: 'rejected', why: 'temporary' })
    assert.deepEqual(
      asked.map(({ kind }) => kind),
      ['begin', 'cancel'],
    )
  })

  it('what would break the contract is not sent: the exchanges of others go on', async () => {
    await serve(({ ref }, connection) => connection.send(encodeAuthReply({ kind: 'challenge', ref, data: '' })))
    const other = await connect().begin(attempt)
    const long = 'x'.repeat(10_000)
    assert.deepEqual(await client?.begin({ ...attempt, mechanism: long }), { kind: 'rejected', why: 'mechanism' })
    assert.deepEqual(await client?.begin({ ...attempt, initial: long }), { kind: 'rejected', why: 'malformed' })
    const own = await client?.begin(attempt)
    assert.ok(own?.kind === 'challenge' && other.kind === 'challenge')
    assert.deepEqual(await own.respond(long), { kind: 'rejected', why: 'malformed' })
    assert.equal((await other.respond('')).kind, 'challenge')
  })

  it('a reply that is none closes the connection, and what waits is temporary', async () => {
    await serve((_, connection) => connection.send(Buffer.from([0, 0, 0, 1, 99])))
    assert.deepEqual(await connect().begin(attempt), { kind: 'rejected', why: 'temporary' })
  })
})
