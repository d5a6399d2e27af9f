import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { FakeEnqueuer } from '#test/kit/smtpd.ts'
import { fromBuffer } from '../../base/byte-string.ts'
import { done, failed, type Outcome, permanent } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import { type Added, type ContentReader, type ReadHeader, ReadingEnqueuer } from './reading-enqueuer.ts'
import { handOn } from './enqueuer.ts'

const envelope = { sender: 'a@b', recipients: ['c@d'] }
const body = 'hello\n'.repeat(20_000)
const pieces =
  Buffer.from(`From: x\nSubject: a\n b\n\n${body}`)
    .toString()
    .match(/[^]{1,7000}/g) ?? []

class Reader implements ContentReader {
  seen: ReadHeader | undefined
  readonly hash = createHash('sha256')
  abandoned = 0
  private readonly answer: Outcome<Added>

  constructor(answer: Outcome<string>) {
    this.answer = answer.done ? done({ head: answer.value, params: new Map([['SEEN', '1']]) }) : answer
  }
  header(header: ReadHeader): void {
    this.seen = header
  }
  body(bytes: Buffer): void {
    this.hash.update(bytes)
  }
  verdict(): Promise<Outcome<Added>> {
    return Promise.resolve(this.answer)
  }
  abandon(): void {
    this.abandoned++
  }
}

describe('who reads along', () => {
  const send = (reader: Reader, next: FakeEnqueuer, head = 'Received: x\n'): Promise<Outcome<number>> => {
    const sink = new ReadingEnqueuer(() => reader, next).open(envelope, noParams)
    return handOn(
      sink,
      head,
      pieces.map((piece) => Buffer.from(piece)),
    )
  }

  it('hears header and body as they came, and puts his lines above the head', async () => {
    const [reader, next] = [new Reader(done('X-Seen: yes\n')), new FakeEnqueuer()]
    assert.deepEqual(await send(reader, next), done(4711))
    assert.deepEqual(
      reader.seen?.fields.map(({ name, raw }) => [name, raw]),
      [
        ['from', 'From: x'],
        ['subject', 'Subject: a\n b'],
      ],
    )
    assert.equal(reader.seen?.text, 'From: x\nSubject: a\n b\n')
    assert.equal(reader.hash.digest('hex'), createHash('sha256').update(body).digest('hex'))
    assert.deepEqual([...(next.taken[0]?.params ?? [])], [['SEEN', '1']])
    assert.ok(next.taken[0]?.content === `X-Seen: yes\nReceived: x\n${pieces.join('')}`)
  })

  it('refuses what then nobody takes', async () => {
    const next = new FakeEnqueuer()
    const refusal = failed(permanent('7.1', 'not signed'))
    assert.deepEqual(await send(new Reader(refusal), next), refusal)
    assert.deepEqual([next.taken.length, next.abandoned], [0, 1])
  })

  it('is told that the message is given up', async () => {
    const [reader, next] = [new Reader(done('')), new FakeEnqueuer()]
    const sink = new ReadingEnqueuer(() => reader, next).open(envelope, noParams)
    await sink.write(Buffer.from('From: x\n'))
    sink.abandon()
    assert.deepEqual([reader.abandoned, next.abandoned, reader.seen], [1, 1, undefined])
  })

  it('is never given a header without an end', async () => {
    const [reader, next] = [new Reader(done('')), new FakeEnqueuer()]
    const sink = new ReadingEnqueuer(() => reader, next).open(envelope, noParams)
    for (let n = 0; n < 20; n++) await sink.write(Buffer.alloc(100_000, 'x'))
    const outcome = await sink.close('', noParams)
    assert.equal(!outcome.done && outcome.failure.peerText, 'sorry, that message has too large a header (#5.3.4)')
    assert.deepEqual([reader.abandoned, next.taken.length], [1, 0])
  })

  it('stands behind another: the inner one stands on top', async () => {
    const next = new FakeEnqueuer()
    const inner = new ReadingEnqueuer(() => new Reader(done('X-Inner: 2\n')), next)
    const outer = new ReadingEnqueuer(() => new Reader(done('X-Outer: 1\n')), inner)
    await handOn(outer.open(envelope, noParams), 'Received: x\n', [Buffer.from('\n')])
    assert.equal(fromBuffer(Buffer.from(next.taken[0]?.content ?? '')), 'X-Inner: 2\nX-Outer: 1\nReceived: x\n\n')
  })
})
