import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fromBuffer } from '../base/byte-string.ts'
import { encodeFrame, type Frame } from '../contracts/frame.ts'
import { decodeHello } from '../contracts/hello.ts'
import { realClock } from '../system/clock.ts'
import { connectPath, FrameConnection } from '../system/frame-connection.ts'
import { Link, type LinkSetting } from './link.ts'

const word = (text: string): Buffer => encodeFrame(200, Buffer.from(text))
const textOf = ({ payload }: Frame): string => fromBuffer(payload)

describe('a link', () => {
  let directory = ''
  let server: Server
  /** Of the other program: what it heard on each connection, and its ends of them. */
  let heard: string[][] = []
  let ends: FrameConnection[] = []
  let told: string[] = []
  let link: Link
  const path = (): string => join(directory, 's')

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-link-'))
    ;[heard, ends, told] = [[], [], []]
    await serve()
  })
  afterEach(() => {
    link.close()
    server.close()
    for (const end of ends) end.destroy('')
    rmSync(directory, { recursive: true, force: true })
  })

  async function serve(): Promise<void> {
    server = createServer((socket) => {
      const words: string[] = []
      heard.push(words)
      const end: FrameConnection = new FrameConnection(socket, {
        onFrame: (frame) => void words.push(words.length === 0 ? decodeHello(frame).purpose : textOf(frame)),
        onClose: () => undefined,
      })
      ends.push(end)
    })
    await new Promise<void>((resolve) => server.listen(path(), resolve))
  }

  function make(more: Partial<LinkSetting> = {}): Link {
    link = new Link({
      to: 'the other',
      purpose: 'policy',
      clock: realClock,
      connect: () => connectPath(path()),
      onFrame: (frame) => void told.push(textOf(frame)),
      onLost: (reason) => void told.push(`lost ${reason}`.trimEnd()),
      onAway: (reason) => void told.push(`away ${reason.replace(/ENOENT.*/, 'ENOENT')}`),
      ...more,
    })
    return link
  }

  async function until(holds: () => boolean): Promise<void> {
    for (let n = 0; n < 1000 && !holds(); n++) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.ok(holds())
  }

  it('is made when it is wanted, once for all who want it, and again after it was lost', async () => {
    make({ opening: [word('first')] })
    const both = await Promise.all([link.connected(), link.connected()])
    assert.equal(both[0], both[1])
    link.say(word('hi'))
    await until(() => heard[0]?.length === 3)
    assert.deepEqual(heard, [['policy', 'first', 'hi']])
    ends[0]?.end()
    await until(() => told.length > 0)
    assert.deepEqual([told, link.connection], [['lost'], undefined])
    link.say(word('again'))
    await until(() => heard[1]?.length === 3)
    assert.deepEqual(heard[1], ['policy', 'first', 'again'])
  })

  it('that was closed here is not lost, and what comes late is nobody’s', async () => {
    await make().connected()
    link.close()
    assert.equal(link.connection, undefined)
    await link.connected()
    await until(() => heard.length === 2)
    ends[1]?.send(word('new'))
    await until(() => told.length > 0)
    assert.deepEqual(told, ['new'])
  })

  it('closed while it is being made: whoever wanted it is told, and the next one gets another', async () => {
    make()
    const first = link.connected()
    link.close()
    await assert.rejects(first, /closed/)
    assert.equal((await link.connected()).closed, false)
  })

  it('is there when the other program says that it serves; if it does not in time, nobody is connected', async () => {
    make({ isServing: (frame) => textOf(frame) === 'serving', connectMillisecondsMax: 100 })
    const connected = link.connected()
    await until(() => ends.length === 1)
    ends[0]?.send(word('serving'))
    await connected
    assert.deepEqual(told, ['serving'])
    link.close()
    await assert.rejects(link.connected(), /the other: no answer in 100 ms/)
    const third = link.connected()
    await until(() => ends.length === 3)
    ends[2]?.end()
    await assert.rejects(third, /the other closed the connection/)
  })

  it('to nobody is not tried again before its time', async () => {
    let tries = 0
    const connect = (): Promise<never> => Promise.reject(new Error(`try ${++tries}`))
    make({ connect, backOffMilliseconds: { min: 60_000, max: 60_000 } })
    for (let n = 0; n < 3; n++) await assert.rejects(link.connected(), /try 1/)
    assert.deepEqual([tries, told], [1, ['away try 1']])
  })

  it('that is kept comes back by itself, and stays away when it was closed', async () => {
    server.close()
    rmSync(path(), { force: true })
    make({ backOffMilliseconds: { min: 5, max: 20 } })
    await link.keep()
    await until(() => told.length > 0)
    assert.deepEqual(told, ['away connect ENOENT'], 'told once')
    await serve()
    await until(() => ends.length === 1)
    ends[0]?.end()
    await until(() => ends.length === 2)
    ends[1]?.send(word('here'))
    await until(() => told.at(-1) === 'here')
    link.leave()
    ends[1]?.end()
    await until(() => told.at(-1) === 'lost')
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(ends.length, 2)
  })
})
