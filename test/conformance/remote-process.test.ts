/** The process itself, between a queue that is played by the test and a server that takes everything. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Attempt, decodeFromDeliverer, encodeToDeliverer } from '../../src/contracts/deliver.ts'
import { type Report, reportOf } from '../kit/status.ts'
import { noParams } from '../../src/contracts/envelope.ts'
import { decodeHello, helloType, type Purpose } from '../../src/contracts/hello.ts'
import { decodeFromProgram, encodeToProgram } from '../../src/contracts/supervise.ts'
import { fetchContent } from '../../src/programs/remote/fetched-content.ts'
import { homeAt, socketPath } from '../../src/stores/home/layout.ts'
import { realClock } from '../../src/system/clock.ts'
import { connectPath, FrameConnection } from '../../src/system/frame-connection.ts'
import { programArguments } from '#test/kit/programs.ts'
import { Sink } from '../kit/sink.ts'

const token = '0123456789abcdef'

/** How the played queue answers a fetch. */
type Serve = (connection: FrameConnection, ref: number) => void

class FakeQueue {
  readonly capacities: number[] = []
  retired = false
  serveFetch: Serve = () => undefined
  remote: FrameConnection | undefined
  private readonly server: Server
  private readonly reports = new Map<number, (reports: readonly Report[]) => void>()
  private readonly attempts = new Map<number, Attempt>()
  private ref = 0
  private onReady: () => void = () => undefined

  constructor(path: string) {
    this.server = createServer((socket) => this.accept(socket)).listen(path)
  }

  async ready(): Promise<void> {
    if (this.remote === undefined || this.remote.closed)
      await new Promise<void>((resolve) => {
        this.onReady = resolve
      })
  }

  attempt(content: Buffer | undefined, contentBytes: number, recipients = ['r@t.example']): Promise<readonly Report[]> {
    this.ref++
    const { ref } = this
    const attempt: Attempt = {
      ref,
      messageId: 1000 + ref,
      key: 0,
      sender: 's@x',
      recipients,
      params: noParams,
      contentBytes,
      content,
      token,
    }
    this.attempts.set(ref, attempt)
    this.remote?.send(encodeToDeliverer({ kind: 'attempt', ...attempt }))
    return new Promise((resolve) => this.reports.set(ref, resolve))
  }

  close(): void {
    this.server.close()
    this.remote?.destroy('')
  }

  private accept(socket: Socket): void {
    let purpose: Purpose | undefined
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (frame) => {
        if (frame.type === helloType) purpose = decodeHello(frame).purpose
        else this.receive(connection, purpose, decodeFromDeliverer(frame))
      },
      onClose: () => undefined,
    })
  }

  private receive(
    connection: FrameConnection,
    purpose: Purpose | undefined,
    message: ReturnType<typeof decodeFromDeliverer>,
  ): void {
    if (message?.kind === 'ready') {
      assert.equal(purpose, 'remote')
      this.capacities.push(message.capacity)
      this.remote = connection
      this.onReady()
    } else if (message?.kind === 'crowded') {
      // On a slow machine the host has its share for longer than an attempt waits: the same one comes again, as from a queue.
      const attempt = this.attempts.get(message.ref)
      if (attempt !== undefined) connection.send(encodeToDeliverer({ kind: 'attempt', ...attempt }))
    } else if (message?.kind === 'report') this.reports.get(message.ref)?.(message.statuses.map(reportOf))
    else if (message?.kind === 'retire') {
      this.retired = true
      connection.send(encodeToDeliverer({ kind: 'retired' }))
    } else if (message?.kind === 'fetch') {
      assert.equal(purpose, 'fetch')
      assert.equal(message.token, token)
      assert.equal(message.messageId, 1000 + message.ref)
      this.serveFetch(connection, message.ref)
    }
  }
}

/** Sends the first `bytes` of the content, heeding pressure, and then ends it in the given way. */
function serving(content: Buffer, bytes: number, end: 'contentEnd' | 'contentFailed' | 'close'): Serve {
  return (connection, ref) => {
    void (async () => {
      for (let at = 0; at < bytes; at += 65_536) {
        const chunk = content.subarray(at, Math.min(bytes, at + 65_536))
        connection.send(encodeToDeliverer({ kind: 'content', ref, bytes: chunk }))
        await connection.pressure()
      }
      if (end === 'close') connection.end()
      else connection.send(encodeToDeliverer({ kind: end, ref }))
    })()
  }
}

describe('the remote process', () => {
  const home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-remote-')))
  const large = Buffer.from('Subject: large\n\n' + `.${'x'.repeat(70)}\n`.repeat(30_000))
  let sink: Sink
  let queue: FakeQueue
  let child: ChildProcess
  let supervisor: FrameConnection
  let exit: Promise<unknown[]>
  before(async () => {
    await mkdir(home.control)
    await mkdir(home.run)
    sink = await Sink.listen()
    writeFileSync(join(home.control, 'me'), 'mail.test\n')
    writeFileSync(join(home.control, 'smtproutes'), `:127.0.0.1:${sink.port}\n`)
    queue = new FakeQueue(socketPath(home, 'queue-remote'))
    const args = [...programArguments('remote'), '--home', home.path]
    child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit', 'pipe'] })
    exit = once(child, 'exit')
    const ready = new Promise<void>((resolve) => {
      supervisor = new FrameConnection(child.stdio[3] as Socket, {
        onFrame: (frame) => (decodeFromProgram(frame)?.kind === 'ready' ? resolve() : undefined),
        onClose: () => undefined,
      })
    })
    await Promise.all([ready, queue.ready()])
  })
  after(async () => {
    child.kill('SIGKILL')
    queue.close()
    await sink.close()
    rmSync(home.path, { recursive: true, force: true })
  })

  it('announces what it can hold', () => assert.deepEqual(queue.capacities, [300]))

  it('delivers small messages, many at once', async () => {
    const content = Buffer.from('Subject: x\n\n.dot\n')
    const all = await Promise.all(Array.from({ length: 200 }, () => queue.attempt(content, content.length)))
    for (const reports of all)
      assert.deepEqual(reports, [
        { letter: 'K', text: '127.0.0.1 accepted message.\nRemote host said: 250 2.0.0 taken\n' },
      ])
    assert.equal(sink.transactions.length, 200)
    assert.deepEqual(sink.transactions[0], {
      from: 's@x',
      to: ['r@t.example'],
      content: Buffer.from('Subject: x\r\n\r\n.dot\r\n'),
    })
  })

  it('fetches a large one', async () => {
    queue.serveFetch = serving(large, large.length, 'contentEnd')
    const [report] = await queue.attempt(undefined, large.length, ['a@t.example', 'b@t.example'])
    assert.equal(report?.letter, 'K')
    const taken = sink.transactions.at(-1)
    assert.deepEqual(taken?.to, ['a@t.example', 'b@t.example'])
    assert.ok(taken?.content.equals(Buffer.from(large.toString('latin1').replaceAll('\n', '\r\n'), 'latin1')))
  })

  for (const end of ['contentEnd', 'contentFailed', 'close'] as const)
    it(`sends no final dot for a content that is cut short (${end})`, async () => {
      const taken = sink.transactions.length
      // Cut at a line end: only the count of bytes tells.
      const bytes = large.lastIndexOf('\n', large.length / 2) + 1
      queue.serveFetch = serving(large, bytes, end)
      assert.deepEqual(await queue.attempt(undefined, large.length), [
        { letter: 'Z', text: 'Unable to read message. (#4.3.0)\n' },
      ])
      assert.equal(sink.transactions.length, taken)
    })

  it('comes back when the queue was lost', async () => {
    queue.remote?.destroy('')
    await queue.ready()
    const content = Buffer.from('again\n')
    assert.equal((await queue.attempt(content, content.length))[0]?.letter, 'K')
  })

  it('finishes what runs when it is stopped', async () => {
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    queue.serveFetch = (connection, ref) =>
      void held.then(() => serving(large, large.length, 'contentEnd')(connection, ref))
    const running = queue.attempt(undefined, large.length)
    while (sink.commands.at(-1) !== 'DATA') await new Promise((resolve) => setTimeout(resolve, 5))
    supervisor.send(encodeToProgram({ kind: 'stop' }))
    while (!queue.retired) await new Promise((resolve) => setTimeout(resolve, 5))
    release()
    assert.equal((await running)[0]?.letter, 'K')
    assert.deepEqual(await exit, [0, null])
  })
})

describe('fetching', () => {
  it('takes no more than it can pass on', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-fetch-'))
    const path = join(directory, 'queue.sock')
    const queue = new FakeQueue(path)
    const content = Buffer.alloc(64 * 1024 * 1024, 'x')
    let given = 0
    queue.serveFetch = (connection, ref) => {
      void (async () => {
        for (; given < content.length && !connection.closed; given += 65_536) {
          connection.send(encodeToDeliverer({ kind: 'content', ref, bytes: content.subarray(given, given + 65_536) }))
          // `send` gathers for the turn: pressure is felt after it.
          await new Promise(setImmediate)
          await connection.pressure()
        }
      })()
    }
    const attempt = { ref: 0, messageId: 1000, key: 0, sender: '', recipients: [], params: noParams, token }
    const chunks = fetchContent(
      { ...attempt, contentBytes: content.length, content: undefined },
      () => connectPath(path),
      realClock,
      () => undefined,
    )
    await chunks.next()
    let earlier = -1
    while (given !== earlier) {
      earlier = given
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    assert.ok(given < 4 * 1024 * 1024, `${given} bytes taken for one`)
    await chunks.return(undefined)
    queue.close()
    rmSync(directory, { recursive: true, force: true })
  })
})
