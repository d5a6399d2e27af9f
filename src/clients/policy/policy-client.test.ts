import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { decodeHello } from '../../contracts/hello.ts'
import {
  decodePolicyRequest,
  encodePolicyReply,
  type GreylistAnswer,
  type PolicyRequest,
  type SpfAnswer,
} from '../../contracts/policy.ts'
import type { Clock } from '../../system/clock.ts'
import { connectPath, FrameConnection } from '../../system/frame-connection.ts'
import { PolicyClient, policyMilliseconds } from './policy-client.ts'

const spfQuestion = { ip: '192.0.2.1', helo: 'h', sender: 's@a', bestGuess: false, refuseOpenPass: false }
const greylistQuestion = {
  ip: '192.0.2.1',
  sender: 's@a',
  recipient: 'r@b',
  minRejectSeconds: 1,
  maxWaitSeconds: 2,
  acceptGoodSeconds: 3,
  onlyLook: false,
}
const explained = { rule: '', logText: '', freshMilliseconds: 0 }
const known: GreylistAnswer = { kind: 'greylist', ...explained, state: 'known', refuseAtData: false, untilMs: 1 }
const pass: SpfAnswer = {
  kind: 'spf',
  ...explained,
  result: 'pass',
  explanation: '',
  receivedSpf: '',
  openToAll: false,
  guess: 'not-made',
}

/** Time that passes when the test says so. */
class TestClock implements Clock {
  private time = 0
  private timers: { readonly at: number; readonly callback: () => void }[] = []
  now(): number {
    return this.time
  }
  monotonic(): number {
    return this.time
  }
  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.time + milliseconds, callback }
    this.timers.push(timer)
    return () => void (this.timers = this.timers.filter((one) => one !== timer))
  }
  pass(milliseconds: number): void {
    this.time += milliseconds
    const due = this.timers.filter(({ at }) => at <= this.time)
    this.timers = this.timers.filter(({ at }) => at > this.time)
    for (const { callback } of due) callback()
  }
}

/** A policy process as the test plays it. */
class FakePolicy {
  readonly path: string
  readonly asked: PolicyRequest[] = []
  connections = 0
  serving = true
  answer: (request: PolicyRequest, connection: FrameConnection) => void = () => undefined
  private readonly sockets = new Set<Socket>()
  private server: Server | undefined
  private wake = (): void => undefined

  constructor(directory: string) {
    this.path = join(directory, 'policy.sock')
  }

  async listen(): Promise<void> {
    const server = createServer((socket) => this.accept(socket))
    this.server = server
    await new Promise<void>((resolve) => server.listen(this.path, resolve))
  }

  /** Resolves when so many questions, or connections that are not served, have come. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => (this.wake = resolve))
  }

  drop(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.drop()
    const { server } = this
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()))
    this.server = undefined
  }

  private accept(socket: Socket): void {
    this.connections++
    this.sockets.add(socket)
    let greeted = false
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (frame) => {
        if (greeted) {
          const request = decodePolicyRequest(frame)
          this.asked.push(request)
          this.answer(request, connection)
        } else {
          greeted = true
          assert.equal(decodeHello(frame).purpose, 'policy')
          if (this.serving) connection.send(encodePolicyReply({ kind: 'serving' }))
        }
        this.wake()
      },
      onClose: () => this.sockets.delete(socket),
    })
  }
}

describe('PolicyClient', () => {
  let directory: string
  let policy: FakePolicy
  let clock: TestClock
  let client: PolicyClient
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-policy-'))
    policy = new FakePolicy(directory)
    await policy.listen()
    clock = new TestClock()
    client = new PolicyClient(() => connectPath(policy.path), clock)
  })
  afterEach(async () => {
    client.close()
    await policy.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('gives each answer to its question, in whatever order they come, on one connection', async () => {
    const held: (() => void)[] = []
    policy.answer = ({ ref, kind }, connection) => {
      const answer = kind === 'spf' ? pass : known
      held.push(() => connection.send(encodePolicyReply({ kind: 'answer', ref, answer })))
      if (held.length === 2) for (const send of held.toReversed()) send()
    }
    const [spf, greylist] = await Promise.all([client.spf(spfQuestion), client.greylist(greylistQuestion)])
    assert.deepEqual(spf, { answered: true, answer: pass })
    assert.deepEqual(greylist, { answered: true, answer: known })
    assert.equal(policy.connections, 1)
  })
  it('asks the same question again only when its answer is stale; another one, and a greylist, always', async () => {
    policy.answer = ({ ref, kind }, connection) => {
      const answer = kind === 'spf' ? { ...pass, freshMilliseconds: 1000 } : { ...known, freshMilliseconds: 0 }
      connection.send(encodePolicyReply({ kind: 'answer', ref, answer }))
    }
    await client.spf(spfQuestion)
    clock.pass(999)
    assert.equal((await client.spf(spfQuestion)).answered, true)
    assert.equal(policy.asked.length, 1)
    clock.pass(1)
    await client.spf(spfQuestion)
    assert.equal(policy.asked.length, 2)
    for (const other of [{ sender: 't@a' }, { ip: '192.0.2.2' }, { helo: 'i' }, { refuseOpenPass: true }])
      await client.spf({ ...spfQuestion, ...other })
    assert.equal(policy.asked.length, 6)
    for (let n = 0; n < 2; n++) await client.greylist(greylistQuestion)
    assert.equal(policy.asked.length, 8)
  })
  it('tells why there is no answer', async () => {
    policy.answer = ({ ref }, connection) => connection.send(encodePolicyReply({ kind: 'none', ref, why: 'disk full' }))
    assert.deepEqual(await client.greylist(greylistQuestion), { answered: false, why: 'disk full' })
  })
  it('waits no longer than its limit; an answer after that disturbs nobody', async () => {
    const asking = client.greylist(greylistQuestion)
    await policy.until(() => policy.asked.length === 1)
    clock.pass(policyMilliseconds.greylist)
    assert.deepEqual(await asking, { answered: false, why: 'no answer from policy in 3 s' })
    policy.answer = ({ ref }, connection) => {
      connection.send(encodePolicyReply({ kind: 'answer', ref: ref - 1, answer: known }))
      connection.send(encodePolicyReply({ kind: 'answer', ref, answer: pass }))
    }
    assert.equal((await client.spf(spfQuestion)).answered, true)
  })
  it('a lost connection: no answer at once, and the next question connects again', async () => {
    policy.answer = () => policy.drop()
    const lost = await client.greylist(greylistQuestion)
    assert.match(lost.answered ? '' : lost.why, /^the connection to policy was lost/)
    policy.answer = ({ ref }, connection) => connection.send(encodePolicyReply({ kind: 'answer', ref, answer: known }))
    assert.equal((await client.greylist(greylistQuestion)).answered, true)
    assert.equal(policy.connections, 2)
  })
  it('nobody there: no answer, and not tried again before its time', async () => {
    await policy.close()
    let tried = 0
    const other = new PolicyClient(() => {
      tried++
      return connectPath(policy.path)
    }, clock)
    const first = await other.greylist(greylistQuestion)
    assert.match(first.answered ? '' : first.why, /ENOENT|ECONNREFUSED/)
    assert.equal((await other.greylist(greylistQuestion)).answered, false)
    assert.equal(tried, 1)
    clock.pass(250)
    await other.greylist(greylistQuestion)
    clock.pass(250)
    await other.greylist(greylistQuestion)
    assert.equal(tried, 2)
    await policy.listen()
    policy.answer = ({ ref }, connection) => connection.send(encodePolicyReply({ kind: 'answer', ref, answer: known }))
    clock.pass(10_000)
    assert.equal((await other.greylist(greylistQuestion)).answered, true)
    other.close()
  })
  it('a socket whose program is dead costs the limit once, then nothing', async () => {
    policy.serving = false
    const asking = Promise.all([client.spf(spfQuestion), client.greylist(greylistQuestion)])
    await policy.until(() => policy.connections === 1)
    // The time limit begins when the socket is connected.
    await new Promise<void>((resolve) => setImmediate(resolve))
    clock.pass(2_000)
    for (const one of await asking) assert.match(one.answered ? '' : one.why, /no answer in 2000 ms/)
    assert.equal((await client.spf(spfQuestion)).answered, false)
    assert.equal(policy.connections, 1)
  })
  it('a policy process that only keeps silent is left after ten questions', async () => {
    const asking = Array.from({ length: 10 }, () => client.greylist(greylistQuestion))
    await policy.until(() => policy.asked.length === 10)
    clock.pass(policyMilliseconds.greylist)
    await Promise.all(asking)
    policy.answer = ({ ref }, connection) => connection.send(encodePolicyReply({ kind: 'answer', ref, answer: known }))
    assert.equal((await client.greylist(greylistQuestion)).answered, true)
    assert.equal(policy.connections, 2)
  })
  it('an answer of another kind breaks the contract: no answer', async () => {
    policy.answer = ({ ref }, connection) => connection.send(encodePolicyReply({ kind: 'answer', ref, answer: known }))
    const mixed = await client.spf(spfQuestion)
    assert.match(mixed.answered ? '' : mixed.why, /greylist answers spf/)
  })
  it('garbage: no answer', async () => {
    await policy.close()
    const server = createServer((socket) => socket.resume().write('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await new Promise<void>((resolve) => server.listen(policy.path, resolve))
    const garbled = await client.spf(spfQuestion)
    assert.match(garbled.answered ? '' : garbled.why, /frame of \d+ bytes/)
    await new Promise<void>((resolve) => server.close(() => resolve()))
  })
  it('a question over the limits of the contract is no answer, not an exception', async () => {
    const long = await client.spf({ ...spfQuestion, sender: 'x'.repeat(3_000) })
    assert.deepEqual(long, { answered: false, why: 'field of 3000 bytes' })
    policy.answer = ({ ref }, connection) => connection.send(encodePolicyReply({ kind: 'answer', ref, answer: pass }))
    assert.equal((await client.spf(spfQuestion)).answered, true)
    assert.equal(policy.connections, 1)
  })
  it('closing settles what is asked', async () => {
    const asking = client.spf(spfQuestion)
    await policy.until(() => policy.asked.length === 1)
    client.close()
    assert.deepEqual(await asking, { answered: false, why: 'closed' })
  })
})
