/** The way from a ticket to a session, past an lspawn and locals that are played. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { decodeHello } from '../../contracts/hello.ts'
import {
  decodeLoginRequest,
  decodeSessionStart,
  encodeOpenReply,
  type LoginRequest,
  type OpenReply,
} from '../../contracts/sessions.ts'
import { sessionFacts } from '#test/kit/session-facts.ts'
import { realClock } from '../../system/clock.ts'
import { connectPath, FrameConnection } from '../../system/frame-connection.ts'
import { SessionClient } from './session-client.ts'

const token = 'k'.repeat(32)
const holder = {
  ticket: 't'.repeat(32),
  peer: { service: 'pop3', remoteIp: '192.0.2.1', remotePort: 4711 },
  facts: sessionFacts,
} as const
const deadlines = {
  openMillisecondsMax: 200,
  connectMillisecondsMax: 200,
  firstWordMillisecondsMax: 200,
  againMilliseconds: 20,
}

describe('session client', () => {
  let directory = ''
  const servers: Server[] = []
  let client: SessionClient
  const asked: string[] = []
  /** In turn; undefined: no answer. A string names a local. */
  let answers: (string | OpenReply['kind'] | 'busy' | undefined)[] = []

  const path = (name: string): string => join(directory, name)
  async function listen(name: string, serve: (socket: Socket) => void): Promise<void> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      serve(socket)
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(path(name), resolve))
  }

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-front-'))
    asked.splice(0)
    await listen('lspawn', (socket) => {
      const connection: FrameConnection = new FrameConnection(socket, {
        onFrame(first) {
          assert.equal(decodeHello(first).purpose, 'login')
          connection.handOver({ onFrame: (frame) => answer(connection, decodeLoginRequest(frame)), onClose() {} })
        },
        onClose() {},
      })
    })
    client = new SessionClient(() => connectPath(path('lspawn')), realClock, deadlines)
  })
  afterEach(() => {
    client.close()
    for (const server of servers.splice(0)) server.close()
    rmSync(directory, { recursive: true })
  })

  function answer(connection: FrameConnection, request: LoginRequest): void {
    if (request.kind === 'closing') return void asked.push(`closing ${request.service}`)
    const { ref } = request
    const next = answers.shift()
    asked.push(next ?? 'silence')
    if (next === undefined) return
    if (next === 'close') return connection.destroy('')
    if (next === 'unknown' || next === 'busy' || next === 'no-mailbox')
      return connection.send(encodeOpenReply({ kind: 'refused', ref, why: next }))
    connection.send(encodeOpenReply({ kind: 'opened', ref, path: path(next), token }))
  }

  /** Plays a local that reads the token. */
  async function local(name: string, then: (socket: Socket) => void): Promise<void> {
    await listen(name, (socket) => {
      const connection: FrameConnection = new FrameConnection(socket, {
        onFrame(first) {
          assert.equal(decodeHello(first).purpose, 'session')
          connection.handOver({
            onFrame(frame) {
              assert.equal(decodeSessionStart(frame).token, token)
              connection.release()
              then(socket)
            },
            onClose() {},
          })
        },
        onClose() {},
      })
    })
  }

  const outcome = async (): Promise<string> => {
    const begun = await client.begin(holder)
    if (begun.kind === 'refused') return begun.why
    begun.socket.destroy()
    return begun.first.toString('latin1')
  }

  it('ends at the first word of a local', async () => {
    await local('good', (socket) => socket.write('+OK \r\n'))
    answers = ['good']
    assert.equal(await outcome(), '+OK \r\n')
  })

  it('a refusal is told, and not asked for again', async () => {
    for (const why of ['unknown', 'busy', 'no-mailbox'] as const) {
      answers = [why]
      assert.equal(await outcome(), why)
    }
    assert.equal(asked.length, 3)
  })

  it('a local that was leaving is asked for once more', async () => {
    await local('leaving', (socket) => socket.destroy())
    await local('good', (socket) => socket.write('+OK \r\n'))
    answers = ['leaving', 'good']
    assert.equal(await outcome(), '+OK \r\n')
    answers = ['gone', 'good']
    assert.equal(await outcome(), '+OK \r\n')
    answers = ['leaving', 'unknown']
    assert.equal(await outcome(), 'temporary')
    answers = ['leaving', 'gone', 'good']
    assert.equal(await outcome(), 'temporary')
  })

  it('an lspawn that was lost is asked once more; its successor does not know the ticket', async () => {
    answers = ['close', 'unknown']
    assert.equal(await outcome(), 'temporary')
  })

  it('silence is waited for once: the client waits, too', async () => {
    answers = [undefined]
    assert.equal(await outcome(), 'temporary')
    await local('silent', () => undefined)
    answers = ['silent', 'good']
    assert.equal(await outcome(), 'temporary')
    assert.deepEqual(asked, ['silence', 'silent'])
  })
})
