/** Queues that are half there, and the way out again. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { permanent } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import { delivered } from '../../protocols/qmail/delivery-status.ts'
import type { QueuedMessage, QueuedRecipient } from '../queue/contract.ts'
import { intoQueue } from './into-queue.ts'
import { lossesOf, outOfQueue } from './out-of-queue.ts'
import { readQmailQueue } from './read-queue.ts'
import { QmailQueueWriter } from './write-queue.ts'

const received = 'Received: (qmail 7 invoked by uid 5001); 1 Dec 2026 00:00:00 -0000\n'
const tables = {
  envnoathost: 'h.example',
  percenthack: new Set<string>(),
  locals: new Set(['h.example']),
  virtualdomains: new Map([['v.example', 'joe']]),
}
const arriving = { nowMs: 5000, aheadMs: 0, tables, uidOf: () => 1 }

function queueWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'quaver-qmail-queue-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  for (const name of ['mess', 'info', 'local', 'remote', 'todo', 'intd', 'bounce', 'pid', 'lock'])
    mkdirSync(join(directory, name))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), text, 'latin1')
  }
  return directory
}

describe('a qmail’s queue that is half there', () => {
  it('with a damaged message gives the others, and says file and fault', (t) => {
    const directory = queueWith(t, {
      'mess/1/1': received,
      'info/1/1': 'Fgood@x\0',
      'remote/1/1': 'Ta@x\0Db@x\0',
      'info/2/2': 'Fno-content@x\0',
      'mess/3/3': received,
      'info/3/3': '',
      'mess/4/4': received,
      'info/4/4': 'Fx@x\0',
      'local/4/4': 'Ta@h\0Tb',
      'mess/5/5': received,
      'todo/5': 'u1\0p1\0Fx@x\0Ta',
      'mess/6/6': received,
      'info/6/6': 'Fx@x\0',
      'remote/6/6': 'Ta@x\0Za@y\0',
      'mess/7/junk': '',
      'mess/core': '',
      'mess/8/8': 'never committed',
      'bounce/9': '<a@x>:\nno\n\n',
    })
    symlinkSync('/etc/passwd', join(directory, 'todo/10'))
    mkdirSync(join(directory, 'mess/10'))
    writeFileSync(join(directory, 'mess/10/10'), received)
    const { messages, broken, strange, leftovers } = readQmailQueue(directory)
    assert.deepEqual(
      messages.map(({ number }) => number),
      ['1'],
    )
    assert.deepEqual(
      broken.map(({ file, fault }) => `${file} ${fault}`),
      [
        'mess/2 is not there, and its envelope is: the content is lost',
        'info/3/3 is empty: nobody knows its sender',
        'local/4/4 ends in the middle of a record: nobody knows all its recipients',
        'todo/5 ends in the middle of a record',
        'remote/6/6 has a record of an unknown kind ("Z"): nobody knows all its recipients',
        'todo/10 is a link, and no file',
      ],
    )
    assert.deepEqual(strange.map(({ file }) => file).sort(), ['mess/7/junk', 'mess/core'])
    assert.deepEqual(leftovers, ['bounce/9', 'mess/8/8'])
  })

  it('takes unsplit queues, a split todo, and queues without some of their directories', (t) => {
    const directory = queueWith(t, {
      'mess/1': received,
      'info/1': 'F\0',
      'mess/2': received,
      'todo/2/2': 'u9\0p1\0F\0Ta\0',
    })
    for (const name of ['bounce', 'remote', 'pid', 'lock']) rmSync(join(directory, name), { recursive: true })
    const { messages, strange } = readQmailQueue(directory)
    assert.deepEqual(
      messages.map(({ number, kind }) => `${number} ${kind}`),
      ['1 routed', '2 queued'],
    )
    assert.deepEqual(
      strange.map(({ file, fault }) => `${file} ${fault}`),
      ['remote is not there', 'bounce is not there', 'pid is not there'],
    )
  })

  it('is no queue without mess', (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-no-queue-'))
    t.after(() => rmSync(directory, { recursive: true, force: true }))
    assert.throws(() => readQmailQueue(directory), /is no queue of a qmail: there is no directory mess in it/)
  })
})

describe('a message of a qmail’s queue', () => {
  it('keeps who is done, who failed and why, and when it is due', (t) => {
    const directory = queueWith(t, {
      'mess/1/1': received,
      'info/1/1': 'Fs@x\0',
      'local/1/1': 'Djoe-a@v.example\0Tjoe-b@v.example\0Djoe-c@v.example\0',
      'bounce/1': '<gone@r.example>:\nno host\n\n<a@v.example>:\nno a\n\n',
    })
    utimesSync(join(directory, 'info/1/1'), 100, 100)
    utimesSync(join(directory, 'local/1/1'), 200, 200)
    const [found] = readQmailQueue(directory).messages
    assert.ok(found)
    const message = intoQueue(found, 42, { ...arriving, aheadMs: 7 })
    assert.deepEqual([message.bornMs, message.due], [100_007, { local: 200_007, remote: undefined }])
    assert.deepEqual(
      message.recipients.map(({ address, state, last }) => `${state} ${address} ${last?.peerText ?? ''}`),
      [
        'failed joe-a@v.example no a\n',
        'waiting joe-b@v.example ',
        'done joe-c@v.example ',
        'failed gone@r.example no host\n',
      ],
    )
    const out = outOfQueue(message, (ms) => ms - 7)
    assert.equal(out.bounce, readFileSync(join(directory, 'bounce/1'), 'latin1'))
    assert.deepEqual([out.remote, out.local?.dueMs, out.bornMs], [undefined, 200_000, 100_000])
  })

  it('that was not routed yet is routed, and due now', (t) => {
    const directory = queueWith(t, {
      'mess/1/1': received,
      'todo/1': 'u1\0p1\0Fs@x\0Tb@v.example\0Tx@r.example\0Tlocal\0',
    })
    const [found] = readQmailQueue(directory).messages
    assert.ok(found)
    const { recipients, due } = intoQueue(found, 42, arriving)
    assert.deepEqual(
      recipients.map(({ channel, address, original }) => `${channel} ${address} ${original}`),
      ['local joe-b@v.example b@v.example', 'remote x@r.example x@r.example', 'local local@h.example local'],
    )
    assert.deepEqual(due, { local: 5000, remote: 5000 })
  })
})

describe('a queue written for qmail', () => {
  const recipient = (address: string, state: QueuedRecipient['state']): QueuedRecipient => ({
    channel: 'remote',
    address,
    original: address,
    prependBytes: 0,
    params: noParams,
    state,
    last: state === 'failed' ? permanent('1.1', 'no') : state === 'done' ? delivered('') : undefined,
    lastMs: 0,
  })
  const message: QueuedMessage = {
    id: 1,
    bornMs: 1_000_000,
    sender: 's@x',
    uid: 0,
    bytes: received.length,
    inFile: false,
    params: noParams,
    held: false,
    due: { local: undefined, remote: 2_000_000 },
    recipients: [recipient('a@x', 'waiting'), recipient('b@x', 'done'), recipient('c@x', 'failed')],
  }
  const content = async function* (): AsyncGenerator<Buffer> {
    yield await Promise.resolve(Buffer.from(received))
  }

  it('has qmail’s directories and modes, and each message under its inode’s number', async (t) => {
    const directory = join(queueWith(t, {}), 'made')
    const writer = await QmailQueueWriter.at(directory, undefined)
    const number = await writer.add({ ...outOfQueue(message, (ms) => ms), content })
    const split = String(number % 23n)
    assert.equal(statSync(join(directory, 'mess', split, String(number)), { bigint: true }).ino, number)
    assert.equal(readFileSync(join(directory, 'remote', split, String(number)), 'latin1'), 'Ta@x\0Db@x\0Dc@x\0')
    assert.equal(readFileSync(join(directory, 'bounce', String(number)), 'latin1'), '<c@x>:\nno (#5.1.1)\n\n')
    assert.equal(statSync(join(directory, 'info', split, String(number))).mtimeMs, 1_000_000)
    assert.deepEqual(readdirSync(join(directory, 'pid')), [])
    assert.equal(statSync(join(directory, 'lock/tcpto')).size, 1024)
    assert.ok(statSync(join(directory, 'lock/trigger')).isFIFO())
    assert.equal(statSync(join(directory, 'info')).mode & 0o777, 0o700)
    assert.equal(readQmailQueue(directory).messages.length, 1)
  })

  it('keeps the split of a queue that is there, and refuses one that is split anyhow', async (t) => {
    const directory = queueWith(t, {})
    for (const name of ['mess', 'info', 'local', 'remote'])
      for (const split of ['0', '1', '2']) mkdirSync(join(directory, name, split))
    chmodSync(join(directory, 'info/0'), 0o700)
    const writer = await QmailQueueWriter.at(directory, undefined)
    const number = await writer.add({ ...outOfQueue(message, (ms) => ms), content })
    assert.equal(readdirSync(join(directory, 'info', String(number % 3n))).length, 1)
    rmSync(join(directory, 'local/2'), { recursive: true })
    await assert.rejects(QmailQueueWriter.at(directory, undefined), /are not split alike/)
  })

  it('says what it cannot hold', () => {
    assert.deepEqual(lossesOf(message), [])
    const [first, ...others] = message.recipients
    assert.ok(first)
    const asked = { ...first, params: new Map([['NOTIFY', 'NEVER']]) }
    assert.deepEqual(
      lossesOf({ ...message, held: true, params: new Map([['SMTPUTF8', '']]), recipients: [asked, ...others] }),
      ['it is held, and qmail would deliver it', 'SMTPUTF8 of MAIL', 'NOTIFY of RCPT'],
    )
  })
})
