import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type AuthReply, type AuthRequest, decodeAuthReply, encodeAuthRequest } from '../../contracts/auth.ts'
import { encodeHello } from '../../contracts/hello.ts'
import { hmacSha256 } from '../../system/digests.ts'
import { type Clock, realClock } from '../../system/clock.ts'
import { connectPath, FrameConnection } from '../../system/frame-connection.ts'
import { realRandom } from '../../system/random.ts'
import { Slots } from '../../system/slots.ts'
import { Conversations } from './conversations.ts'
import { LoginGuard } from './guard.ts'
import { Authenticator } from './authenticator.ts'
import { exchangesPerConnectionMax } from './limits.ts'
import { Passwords } from './passwords.ts'

const begin = (ref: number, mechanism = 'LOGIN', initial?: string): AuthRequest => ({
  kind: 'begin',
  ref,
  mechanism,
  initial,
  peer: { service: 'pop3', remoteIp: '192.0.2.1', remotePort: 1 },
  bindings: new Map(),
})

describe('authd’s connections', () => {
  let directory = ''
  let log: string[] = []
  let conversations: Conversations
  let guard: LoginGuard
  let timers: { milliseconds: number; act: () => void }[] = []
  let open: FrameConnection[] = []
  /** Time limits pass when a test says so. */
  const clock: Clock = {
    ...realClock,
    after: (milliseconds, act) => {
      const timer = { milliseconds, act }
      timers.push(timer)
      return () => (timers = timers.filter((one) => one !== timer))
    },
  }

  const connect = async (onReply: (reply: AuthReply) => void = () => undefined): Promise<FrameConnection> => {
    const socket = await connectPath(join(directory, 'authd.sock'))
    return await new Promise((resolve) => {
      const connection: FrameConnection = new FrameConnection(socket, {
        onFrame: (frame) => {
          const reply = decodeAuthReply(frame)
          if (reply.kind === 'serving') resolve(connection)
          else onReply(reply)
        },
        onClose: () => undefined,
      })
      open.push(connection)
      connection.send(encodeHello({ purpose: 'auth', uid: 0 }))
    })
  }
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-conversations-'))
    log = []
    timers = []
    guard = new LoginGuard({ directory, clock: realClock, onAlert: () => undefined })
    const authenticator = new Authenticator({
      accounts: () => Promise.resolve(new Map()),
      isUnreadable: () => false,
      passwords: new Passwords(hmacSha256('', ''), realClock, realRandom),
      guard,
      tickets: {
        admit: () => Promise.reject(new Error('nobody is to be admitted')),
        check: () => Promise.reject(new Error('nobody is to be checked')),
      },
      checks: new Slots({ atOnceMax: 1, waitingMax: 1 }, realClock),
      tokens: { verify: () => Promise.reject(new Error('no keys')) },
      random: realRandom,
      ownHost: () => 'host.test',
      locals: () => [],
      hasChecker: () => false,
      uidOf: () => Promise.resolve(undefined),
    })
    const offered = (): ['SCRAM-SHA-256', 'PLAIN', 'LOGIN', 'XOAUTH2'] => ['SCRAM-SHA-256', 'PLAIN', 'LOGIN', 'XOAUTH2']
    conversations = new Conversations({
      clock,
      random: realRandom,
      log: (line) => log.push(line),
      authenticator,
      offered,
    })
    const bound = new net.BoundSocket({ path: join(directory, 'authd.sock') } as net.BoundSocketOptions)
    await conversations.serve(bound.fd())
    open = []
  })
  afterEach(() => {
    for (const connection of open) connection.destroy('')
    conversations.close()
    guard.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('an exchange whose time is up is temporary; a late response to it is passed over', async () => {
    const replies: AuthReply[] = []
    const connection = await connect((reply) => replies.push(reply))
    connection.send(encodeAuthRequest(begin(1)))
    await until(() => replies.length === 1)
    timers.find(({ milliseconds }) => milliseconds === 60_000)?.act()
    await until(() => replies.length === 2)
    assert.deepEqual(replies[1], { kind: 'rejected', ref: 1, why: 'temporary' })
    connection.send(encodeAuthRequest({ kind: 'respond', ref: 1, data: 'anna' }))
    connection.send(encodeAuthRequest(begin(1)))
    await until(() => replies.length === 3)
    assert.equal(replies[2]?.kind, 'challenge')
    assert.deepEqual(log, ['failed-login 192.0.2.1 pop3 LOGIN -: temporary: it took too long'])
  })

  it('exchanges are bounded, and cancelled ones make room', async () => {
    const replies = new Map<string, number>()
    const connection = await connect(({ kind }) => replies.set(kind, (replies.get(kind) ?? 0) + 1))
    for (let ref = 0; ref <= exchangesPerConnectionMax; ref++) connection.send(encodeAuthRequest(begin(ref)))
    await until(() => replies.get('rejected') === 1)
    await until(() => replies.get('challenge') === exchangesPerConnectionMax)
    for (let ref = 0; ref < 10; ref++) connection.send(encodeAuthRequest({ kind: 'cancel', ref }))
    for (let ref = 0; ref < 10; ref++) connection.send(encodeAuthRequest(begin(ref)))
    await until(() => replies.get('challenge') === exchangesPerConnectionMax + 10)
    connection.destroy('')
    await until(() => timers.filter(({ milliseconds }) => milliseconds === 60_000).length === 0)
  })

  it('a connection lost in the middle of a check harms nobody', async () => {
    const lost = await connect()
    lost.send(encodeAuthRequest(begin(1, 'PLAIN', '\0anna\0x')))
    lost.end()
    await until(() => log.length === 1)
    assert.match(log[0] ?? '', /PLAIN anna: no such account/)
    const replies: AuthReply[] = []
    const connection = await connect((reply) => replies.push(reply))
    connection.send(encodeAuthRequest(begin(1, 'XOAUTH2', 'user=a\x01auth=Bearer x\x01\x01')))
    await until(() => replies.length === 1)
    assert.deepEqual(replies, [{ kind: 'rejected', ref: 1, why: 'temporary' }])
  })

  it('no password is looked at for a client that has left', async () => {
    const connection = await connect()
    // Those before it keep every slot taken while it leaves.
    for (let ref = 1; ref <= 5; ref++) connection.send(encodeAuthRequest(begin(ref, 'PLAIN', `\0anna\0x${ref}`)))
    connection.send(encodeAuthRequest({ kind: 'cancel', ref: 5 }))
    await until(() => log.length === 5)
    assert.equal(log.filter((line) => line.endsWith('anna: no such account')).length, 4)
    assert.equal(log.filter((line) => line.endsWith('anna: temporary: nobody waits any more')).length, 1)
  })

  it('no bytes make it fall, or accept anybody', async () => {
    const accepted: AuthReply[] = []
    const text = fc.string({ unit: 'binary', maxLength: 40 }).map((one) => one.replace(/[^\0-\xff]/gu, '?'))
    const name = fc.constantFrom('SCRAM-SHA-256', 'PLAIN', 'LOGIN', 'XOAUTH2', 'NTLM')
    const ref = fc.nat(3)
    const request = fc.oneof(
      fc.tuple(ref, name, fc.option(text, { nil: undefined })).map((all) => encodeAuthRequest(begin(...all))),
      fc.tuple(ref, text).map(([at, data]) => encodeAuthRequest({ kind: 'respond', ref: at, data })),
      ref.map((at) => encodeAuthRequest({ kind: 'cancel', ref: at })),
      fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 20 }), fc.nat(50), async (frames, cut) => {
        const connection = await connect((reply) => {
          if (reply.kind === 'accepted') accepted.push(reply)
        })
        const all = Buffer.concat(frames)
        connection.send(all.subarray(0, cut))
        connection.send(all.subarray(cut))
        connection.end()
      }),
      { numRuns: 60 },
    )
    const replies: AuthReply[] = []
    const connection = await connect((reply) => replies.push(reply))
    connection.send(encodeAuthRequest(begin(7)))
    await until(() => replies.length === 1)
    assert.deepEqual(accepted, [])
  })
})
