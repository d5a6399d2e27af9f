/** A front that lies: it has the front's account, and so its sockets, and tries to get what nobody logged in for.
 *  It gets nothing, nobody ends, and the log says so in one line that can be searched for. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { demoAddress, demoPassword, Instance, until } from '#test/kit/instance.ts'
import { MailClient, popLogin } from '#test/kit/mail-client.ts'
import { AuthClient } from '../../src/clients/auth/auth-client.ts'
import { QuestionLink } from '../../src/clients/question-link.ts'
import { SessionClient } from '../../src/clients/sessions/session-client.ts'
import { encodeAuthRequest } from '../../src/contracts/auth.ts'
import { encodeFrame } from '../../src/contracts/frame.ts'
import { encodeHello, type Purpose } from '../../src/contracts/hello.ts'
import {
  decodeOpenReply,
  encodeLoginRequest,
  encodeSessionStart,
  encodeTicketRequest,
  type OpenReply,
  type SessionPeer,
} from '../../src/contracts/sessions.ts'
import { realClock } from '../../src/system/clock.ts'
import { sessionFacts as facts } from '../kit/session-facts.ts'
import { connectPath } from '../../src/system/frame-connection.ts'

const peer: SessionPeer = { service: 'pop3', remoteIp: '192.0.2.1', remotePort: 4711 }
const secret = 'g'.repeat(32)
const programs = ['lspawn', 'authd', 'ofmipd', 'pop3d', 'queue', 'local'] as const

describe('a front that lies', { concurrency: false }, () => {
  let instance: Instance
  let pids: readonly number[]
  let auth: AuthClient
  let lspawn: QuestionLink<OpenReply>

  const path = (name: string): string => join(instance.home, 'run', `${name}.sock`)
  const pidsNow = (): Promise<readonly number[]> => Promise.all(programs.map((name) => instance.pidOf(name)))
  const localPath = (): string => {
    const [name = ''] = readdirSync(join(instance.home, 'run/local'))
    return join(instance.home, 'run/local', name)
  }

  before(async () => {
    instance = await Instance.start({ services: ['local', 'submission', 'pop3'] })
    auth = new AuthClient(() => connectPath(path('authd')), realClock)
    lspawn = new QuestionLink({
      to: 'lspawn',
      purpose: 'login',
      clock: realClock,
      connect: () => connectPath(path('lspawn-login')),
      decode: decodeOpenReply,
    })
    // The user's process is there.
    assert.match(await session(), /^\+OK/)
    pids = await pidsNow()
  })
  after(async () => {
    auth.close()
    lspawn.close()
    await instance.end()
  })

  /** A login that is right, as the front makes it; its first word. */
  async function session(): Promise<string> {
    const client = new MailClient({ port: instance.portOf('pop3s') })
    try {
      return await popLogin(client, demoAddress, demoPassword)
    } finally {
      client.end()
    }
  }

  /** A ticket that authd gives for a right password. */
  async function ticketOf(by: SessionPeer = peer): Promise<string> {
    const initial = `\0${demoAddress}\0${demoPassword}`
    const step = await auth.begin({ mechanism: 'PLAIN', initial, peer: by, bindings: new Map() })
    return step.kind === 'accepted' ? step.ticket : assert.fail(JSON.stringify(step))
  }

  const open = (ticket: string, by: SessionPeer = peer): Promise<OpenReply> =>
    lspawn.ask((ref) => encodeLoginRequest({ kind: 'open', ref, ticket, peer: by }), 10_000)
  const why = (reply: OpenReply): string => (reply.kind === 'refused' ? reply.why : reply.kind)

  /** What the other side says to these bytes before it closes. */
  async function saidTo(socketPath: string, ...bytes: readonly Buffer[]): Promise<Buffer> {
    const socket = connect({ path: socketPath })
    const said: Buffer[] = []
    socket.on('error', () => undefined)
    socket.on('data', (piece: Buffer) => said.push(piece))
    await once(socket, 'connect')
    socket.write(Buffer.concat(bytes))
    await new Promise((resolve) => socket.once('close', resolve))
    return Buffer.concat(said)
  }

  const hello = (purpose: Purpose): Buffer => encodeHello({ purpose, uid: 0 })
  const begin = encodeAuthRequest({
    kind: 'begin',
    ref: 1,
    mechanism: 'PLAIN',
    initial: '\0a\0b',
    peer,
    bindings: new Map(),
  })

  it('gets no session without a ticket, and for a guessed one', async () => {
    assert.equal(why(await open(secret)), 'unknown')
    for (let n = 0; n < 200; n++) assert.equal(why(await open(String(n).padStart(32, '0'))), 'unknown')
  })

  it('gets none for a ticket of another peer, and ends that ticket', async () => {
    for (const other of [
      { ...peer, remoteIp: '192.0.2.2' },
      { ...peer, remotePort: 4712 },
      { ...peer, service: 'submission' } as const,
    ]) {
      const ticket = await ticketOf()
      assert.equal(why(await open(ticket, other)), 'unknown')
      assert.equal(why(await open(ticket)), 'unknown')
    }
  })

  it('gets one session for a ticket, and one for a token', async () => {
    const ticket = await ticketOf()
    const reply = await open(ticket)
    assert.ok(reply.kind === 'opened')
    assert.equal(why(await open(ticket)), 'unknown')
    const start = encodeSessionStart({ token: reply.token, facts })
    const first = connect({ path: reply.path })
    first.write(Buffer.concat([hello('session'), start]))
    const [word] = (await once(first, 'data')) as [Buffer]
    assert.equal(word.toString('latin1'), '+OK \r\n')
    assert.equal((await saidTo(reply.path, hello('session'), start)).length, 0)
    first.destroy()
  })

  it('gets nothing from a user’s process with a token that it made up, or a ticket', async () => {
    const ticket = await ticketOf()
    for (const token of [secret, ticket])
      assert.equal((await saidTo(localPath(), hello('session'), encodeSessionStart({ token, facts }))).length, 0)
  })

  it('gets nothing from a token after lspawn has told it to another process', async () => {
    const reply = await open(await ticketOf())
    assert.ok(reply.kind === 'opened')
    assert.notEqual(reply.token, secret)
    // The same token at lspawn, where only tickets count.
    assert.equal(why(await open(reply.token)), 'unknown')
  })

  it('cannot announce a ticket, or say that a login was proven', async () => {
    const admit = encodeTicketRequest({ kind: 'admit', ref: 1, ticket: secret, account: demoAddress, peer })
    for (const frames of [
      [hello('tickets'), admit],
      [hello('login'), admit],
      [hello('login'), encodeFrame(82, Buffer.alloc(200))],
      [hello('session'), encodeSessionStart({ token: secret, facts })],
      [hello('lspawn')],
      [hello('admin'), encodeFrame(33, Buffer.from('{"op":"forgive","who":"x"}'))],
    ])
      assert.equal((await saidTo(path('lspawn-login'), ...frames)).length, 0)
    assert.equal(why(await open(secret)), 'unknown')
  })

  it('is closed for frames that are no frames, on every socket it has', async () => {
    const giant = Buffer.alloc(4096, 0xff)
    const empty = Buffer.alloc(5)
    for (const [socketPath, purpose] of [
      [path('lspawn-login'), 'login'],
      [path('authd'), 'auth'],
      [localPath(), 'session'],
    ] as const) {
      for (const bytes of [
        [giant],
        [empty],
        [hello(purpose), giant],
        [hello(purpose), empty],
        [hello(purpose), hello(purpose)],
        [hello(purpose), encodeFrame(184)],
        [hello(purpose), encodeFrame(160, Buffer.alloc(3))],
        [hello('queue' as Purpose)],
        [begin],
      ])
        await saidTo(socketPath, ...bytes)
      for (const other of ['enqueue', 'local', 'admin', 'policy'] as const)
        assert.equal((await saidTo(socketPath, hello(other))).length, 0)
    }
  })

  it('cannot make lspawn keep what it does not read', async () => {
    const socket = connect({ path: path('lspawn-login') })
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    socket.pause()
    socket.write(hello('login'))
    const asks = Buffer.concat(
      Array.from({ length: 500 }, (_, ref) => encodeLoginRequest({ kind: 'open', ref, ticket: secret, peer })),
    )
    for (const deadline = performance.now() + 30_000; !socket.destroyed && performance.now() < deadline; await pause(1))
      if (socket.writableLength < 4 * asks.length) socket.write(asks)
    assert.ok(socket.destroyed)
    await until(
      'the alarm',
      10_000,
      async () => /asks on and leaves \d+ bytes unread/.test(await instance.log()) || undefined,
    )
  })

  it('has ended nobody, is named in the log, and honest logins go on', async () => {
    assert.deepEqual(await pidsNow(), pids)
    const sessions = new SessionClient(() => connectPath(path('lspawn-login')), realClock)
    const begun = await sessions.begin({ ticket: await ticketOf(), peer, facts })
    assert.ok(begun.kind === 'begun')
    begun.socket.destroy()
    sessions.close()
    const log = await instance.log()
    assert.match(log, /login shows a ticket that is not good, for pop3 from 192\.0\.2\.1/)
    assert.match(log, /alert: login shows a token that is not good/)
    assert.doesNotMatch(log, /alert: bug/)
  })
})
