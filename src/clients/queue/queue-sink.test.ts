import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import { describe, it, test } from 'node:test'
import { done, type Outcome } from '../../base/outcome.ts'
import {
  decodeEnqueueRequest,
  encodeEnqueueReply,
  type EnqueueRequest,
  headBytesMax,
  inlineBytesMax,
} from '../../contracts/enqueue.ts'
import { noParams } from '../../contracts/envelope.ts'
import { type Clock, realClock } from '../../system/clock.ts'
import type { PassedDescriptor } from '../../system/descriptor-passing.ts'
import { FrameConnection } from '../../system/frame-connection.ts'
import { BodyWriter } from './body-writer.ts'
import { ContentBudget } from './content-budget.ts'
import { EnqueuePort } from './enqueue-port.ts'
import { type EnqueueLink, QueueSink } from './queue-sink.ts'
import { handOn } from './enqueuer.ts'

const envelope = { sender: 'a@b', recipients: ['c@d'] }
const head = 'Received: x\n'

/** A queue that answers 7 to everything, and keeps what it was asked. */
class Rig {
  readonly budget: ContentBudget
  readonly asked: EnqueueRequest[] = []
  manner = ''
  /** What it does with whoever asks for a file. */
  file: 'given' | 'lost' | 'frames' | undefined
  released = 0
  readonly path: string = join(tmpdir(), `quaver-sink-${process.pid}`)

  constructor(budgetBytes = 1 << 20) {
    this.budget = new ContentBudget(budgetBytes)
  }

  open(connect: () => Promise<EnqueueLink> = () => this.connect()): QueueSink {
    const route = {
      to: 'the queue',
      budget: this.budget,
      connect: (manner: string): Promise<EnqueueLink> => {
        this.manner = manner
        return connect()
      },
    }
    return new QueueSink(route, envelope, noParams)
  }

  connect(): Promise<EnqueueLink> {
    const descriptors: PassedDescriptor[] = []
    const [ours, theirs] = duplexPair()
    const connection: FrameConnection = new FrameConnection(ours, {
      onFrame: (frame) => port.handle(frame),
      onClose: (reason) => port.connectionClosed(reason),
    })
    const queue: FrameConnection = new FrameConnection(theirs, {
      onFrame: (frame) => {
        const request = decodeEnqueueRequest(frame)
        assert.ok(request !== undefined)
        this.asked.push(request)
        const { kind, ref } = request
        if (kind === 'open' && request.asFile === true) {
          if (this.file === 'given') descriptors.push({ tag: ref, fd: openSync(this.path, 'w+') })
          queue.send(encodeEnqueueReply({ kind: this.file === 'frames' ? 'frames' : 'file', ref }))
        }
        if (kind === 'submit' || kind === 'close') queue.send(encodeEnqueueReply({ kind: 'accepted', ref, id: 7 }))
      },
      onClose: () => undefined,
    })
    const port = new EnqueuePort(connection, realClock)
    const release = (): void => void this.released++
    if (this.file === undefined) return Promise.resolve({ port, release })
    return Promise.resolve({ port, release, receiveDescriptor: () => descriptors.shift() })
  }

  get kinds(): string {
    return [...new Set(this.asked.map(({ kind }) => kind))].join(' ')
  }

  get body(): Buffer {
    return Buffer.concat(
      this.asked.flatMap((one) => (one.kind === 'submit' ? one.body : one.kind === 'chunk' ? [one.bytes] : [])),
    )
  }
}

describe('a message on its way to the queue', () => {
  const bodies: readonly [bytes: number, budgetBytes: number, kinds: string][] = [
    [0, 1 << 20, 'submit'],
    [inlineBytesMax, 1 << 20, 'submit'],
    [inlineBytesMax + 1, 1 << 20, 'open chunk close'],
    [300_000, 1 << 20, 'open chunk close'],
    [20, 10, 'open chunk close'],
  ]
  for (const [bytes, budgetBytes, kinds] of bodies) {
    it(`${bytes} bytes, with a budget of ${budgetBytes}: ${kinds}`, async () => {
      const rig = new Rig(budgetBytes)
      const body = Buffer.alloc(bytes, 'abcdefg')
      const pieces = [body.subarray(0, 7), body.subarray(7)]
      assert.deepEqual(await handOn(rig.open(), head, pieces), done(7))
      assert.equal(rig.kinds, kinds)
      assert.equal(rig.manner, kinds === 'submit' ? 'whole' : 'streamed')
      assert.ok(rig.body.equals(body))
      const last = rig.asked.at(-1)
      assert.equal(last !== undefined && 'head' in last && last.head, head)
      assert.deepEqual([rig.budget.held, rig.released], [0, 1])
    })
  }

  const textOf = (outcome: Outcome<number>): string => (outcome.done ? 'done' : outcome.failure.logText)

  it('into a file of the queue, in frames if there is none, and given up if it does not come', async () => {
    const places: readonly [file: Rig['file'], kinds: string, answer: RegExp][] = [
      ['given', 'open close', /^done$/],
      ['frames', 'open chunk close', /^done$/],
      ['lost', 'open', /descriptor did not come/],
    ]
    for (const [file, kinds, answer] of places) {
      const rig = new Rig()
      rig.file = file
      const pieces = Array.from({ length: 40 }, (_, n) => Buffer.alloc(30_000, String(n)))
      assert.match(textOf(await handOn(rig.open(), head, pieces)), answer)
      assert.deepEqual([rig.kinds, rig.budget.held, rig.released], [kinds, 0, 1])
      if (file !== 'given') continue
      assert.ok(readFileSync(rig.path).equals(Buffer.concat(pieces)))
      const last = rig.asked.at(-1)
      assert.equal(last?.kind === 'close' && last.bodyBytes, 1_200_000)
      rmSync(rig.path)
    }
  })

  it('that cannot be had', async () => {
    for (const bytes of [10, 100_000]) {
      const rig = new Rig()
      const sink = rig.open(() => Promise.reject(new Error('nobody')))
      assert.match(textOf(await handOn(sink, head, [Buffer.alloc(bytes)])), /^cannot reach the queue: .*nobody/)
      assert.equal(rig.budget.held, 0)
    }
  })

  it('with more head than anybody may give', async () => {
    const rig = new Rig()
    const long = 'x'.repeat(headBytesMax + 1)
    for (const bytes of [10, 100_000])
      assert.match(textOf(await handOn(rig.open(), long, [Buffer.alloc(bytes)])), /^a head of 131073 bytes/)
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([rig.kinds, rig.budget.held], ['open chunk abandon', 0])
  })

  it('given up: before anything was sent, while it is being connected, in the middle', async () => {
    const early = new Rig()
    const sink = early.open()
    await sink.write(Buffer.alloc(10))
    sink.abandon()
    assert.deepEqual([early.manner, early.budget.held], ['', 0])

    const connecting = new Rig()
    const link = Promise.withResolvers<EnqueueLink>()
    const waiting = connecting.open(() => link.promise)
    const written = waiting.write(Buffer.alloc(100_000))
    waiting.abandon()
    link.resolve(await connecting.connect())
    await written
    assert.deepEqual([connecting.kinds, connecting.released, connecting.budget.held], ['', 1, 0])

    const middle = new Rig()
    const streamed = middle.open()
    await streamed.write(Buffer.alloc(100_000))
    streamed.abandon()
    await streamed.write(Buffer.alloc(100_000))
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([middle.kinds, middle.body.length, middle.released], ['open chunk abandon', 100_000, 1])
  })
})

test('a body that cannot be written is told with qmail-queue’s words, and no more of it is tried', async () => {
  const writer = new BodyWriter(openSync('/dev/full', 'w'))
  await writer.write(Buffer.alloc(10))
  const failure = await writer.close()
  assert.equal(failure?.class, 4)
  assert.equal(failure.peerText, 'qq write error or disk full (#4.3.1)')
  const closed = openSync('/dev/null', 'r')
  const unwritable = new BodyWriter(closed)
  await unwritable.write(Buffer.alloc(10))
  assert.equal((await unwritable.close())?.peerText, 'qq write error or disk full (#4.3.0)')
  assert.throws(() => closeSync(closed), { code: 'EBADF' })
})

test('the queue has its time from the end of a message on, however long that took to come', async () => {
  let timers = 0
  const clock: Clock = {
    ...realClock,
    after: () => {
      timers++
      return () => void timers--
    },
  }
  const [ours] = duplexPair()
  const connection = new FrameConnection(ours, { onFrame: () => undefined, onClose: () => undefined })
  const port = new EnqueuePort(connection, clock)
  const stream = port.open(envelope, noParams)
  await stream.write(Buffer.alloc(10))
  assert.equal(timers, 0)
  const answer = stream.close(head, noParams)
  assert.equal(timers, 1)
  port.connectionClosed('')
  assert.equal((await answer).done, false)
  assert.equal(timers, 0)
})
