import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import type { Command } from 'commander'
import { quaver, suggestByBeginning } from './commands.ts'
import { completeHeader } from '../../protocols/submission/complete-header.ts'
import { harmless, table } from './output.ts'

import { type QueuedMessage, readMessage } from './queue-message.ts'
import { explainMessage } from './queue-why.ts'
import { completed } from '../../protocols/submission/complete-message.ts'
import { parseLogLine } from './tour-log.ts'

describe('help', () => {
  const commands = (command: Command): Command[] => [command, ...command.commands.flatMap((one) => commands(one))]
  for (const command of commands(quaver()))
    it(`${command.name()} has a description, --home, --json and examples`, () => {
      let help = ''
      command.configureOutput({ writeOut: (part) => (help += part) }).outputHelp()
      assert.notEqual(command.description(), '')
      for (const wanted of ['--home', '--json', 'Examples:\n  '])
        assert.ok(help.includes(wanted), `${wanted} in ${help}`)
    })
  it('every command of the manual is there', () => {
    const names = commands(quaver()).map((command) => command.name())
    for (const name of [
      'start',
      'stop',
      'status',
      'queue',
      'list',
      'show',
      'why',
      'retry',
      'delete',
      'send',
      'control',
      'check',
      'account',
      'add',
      'password',
      'disable',
      'enable',
      'quota',
      'remove',
      'domain',
      'alias',
      'dns',
      'login',
      'failures',
      'forgive',
    ])
      assert.ok(names.includes(name), name)
  })
})

describe('send', () => {
  const facts = {
    milliseconds: Date.UTC(2026, 10, 21, 9, 8, 7),
    messageId: '<20261121090807.77.qmail@x.test>',
    author: 'joe@x.test',
  }
  const added = {
    date: 'Date: 21 Nov 2026 09:08:07 -0000\n',
    id: 'Message-ID: <20261121090807.77.qmail@x.test>\n',
    from: 'From: joe@x.test\n',
    cc: 'Cc: recipient list not shown: ;\n',
  }
  const all = added.date + added.id + added.from + added.cc
  const send = (...chunks: readonly string[]): Promise<string> => {
    const input = Readable.from(chunks.map((chunk) => Buffer.from(chunk, 'latin1')))
    return text(
      Readable.from(
        completed(input, (fields) => completeHeader(fields, facts)),
        { objectMode: false },
      ),
    )
  }

  it('adds what is missing on top', async () => {
    assert.equal(await send('Subject: hi\n\nbody\n'), `${all}Subject: hi\n\nbody\n`)
  })
  it('keeps what is there, whatever its case and folding', async () => {
    const whole = 'dATE: x\nmessage-id :\n <y>\nFROM: z\ncc: w\n\nbody\n'
    assert.equal(await send(whole), whole)
  })
  it('begins the body where a line is no field', async () => {
    assert.equal(
      await send('To: a\nhello there\n\nmore\n'),
      `${added.date}${added.id}${added.from}To: a\n\nhello there\n\nmore\n`,
    )
    assert.equal(await send('just text'), `${all}\njust text\n`)
    assert.equal(await send(''), all)
    assert.equal(await send('\nbody\n'), `${all}\nbody\n`)
  })
  it('blind copies do not travel', async () => {
    assert.equal(
      await send('To: a\nBcc: b,\n c\nSubject: s\n\nBcc: body\n'),
      `${added.date}${added.id}${added.from}To: a\nSubject: s\n\nBcc: body\n`,
    )
  })
  it('blind copies do not travel behind odd first lines either, nor in a long header', async () => {
    const [mbox, secret] = ['From abc Mon Sep 17 00:00:00 2001\n', 'Bcc : secret@x\n\tand@y\nresent-bcc: secret\n']
    for (const before of [
      '',
      mbox,
      `>${mbox}`,
      '\xef\xbb\xbf',
      '\n',
      'odd line\n',
      'X\xe9: 1\n',
      `X: ${'x'.repeat(400_000)}\n`,
    ]) {
      const sent = await send(`${before}${secret}To: a\n${secret}`, '\nbody Bcc: kept\n')
      assert.doesNotMatch(sent, /secret|and@y/, JSON.stringify(before.slice(0, 50)))
      assert.match(sent, /\nTo: a\n\nbody Bcc: kept\n$/)
    }
    await assert.rejects(
      send('X: ', 'x'.repeat(1_100_000), '\nBcc: y\n\n'),
      /header of the message has more than 1048576 bytes/,
    )
  })
  it('a header line that names nobody stays, a Date, Message-ID or From that says nothing does not', async () => {
    assert.equal(await send('Date: \nMessage-ID:\nFrom:\n \nTo:\n\n'), `${added.date}${added.id}${added.from}To:\n\n`)
  })
  it('a message with CRLF becomes one with LF, wherever it is cut; other carriage returns stay', async () => {
    const whole = 'To: a\r\nDate: d\r\nFrom: f\r\nMessage-ID: <m>\r\n\r\nbo\rdy\r\nend\r\n'
    const expected = whole.replaceAll('\r\n', '\n')
    for (let at = 0; at <= whole.length; at++) assert.equal(await send(whole.slice(0, at), whole.slice(at)), expected)
    const plain = 'To: a\nDate: d\nFrom: f\nMessage-ID: <m>\n\nbo\r\ndy\r\n'
    assert.equal(await send(plain), plain)
  })
  it('a missing last line end is supplied', async () => {
    assert.ok((await send('To: a\n\nbody')).endsWith('\n\nbody\n'))
    assert.ok((await send('To: a\n\n', 'bo', 'dy')).endsWith('\n\nbody\n'))
  })
})

it('a row of the queue is read with the status of the last attempt, and a row that keeps no promise is read, too', () => {
  const answer = { name: 'mx.test', address: '192.0.2.1', code: 450, lines: '450-4.2.1 \xc3\xa9\n450 later\n' }
  const row = { address: 'joe-x@virt.test', original: 'x@virt.test', params: { NOTIFY: 'NEVER' }, lastStatus: '4.2.1' }
  const [recipient] = readMessage({ recipients: [{ ...row, lastAnswer: answer }] }).recipients
  assert.deepEqual(
    [recipient?.original, recipient?.params, recipient?.lastStatus],
    [row.original, row.params, row.lastStatus],
  )
  assert.deepEqual(recipient?.lastAnswer, { ...answer, lines: ['450-4.2.1 é', '450 later'] })
  const [untried] = readMessage({ recipients: [{ params: 7, lastAnswer: 'no' }] }).recipients
  assert.deepEqual([untried?.params, untried?.lastStatus, untried?.lastAnswer], [{}, '', null])
})

describe('queue why', () => {
  const now = Date.UTC(2026, 10, 21, 12)
  const waiting = {
    address: 'a@x.test',
    original: 'a@x.test',
    params: {},
    channel: 'remote',
    state: 'waiting',
    lastStatus: '4.4.1',
    lastAnswer: null,
    lastText: 'no route',
    lastDetail: '',
    lastMs: now - 60_000,
    nextMs: now + 400_000,
  } as const
  const message: QueuedMessage = {
    id: 5,
    bytes: 1,
    sender: '',
    bornMs: now - 7_200_000,
    uid: 0,
    held: false,
    delivering: false,
    recipients: [waiting],
  }
  it('says who waits, the last answer, and when the next attempt is', () => {
    const [head, first] = explainMessage(message, now)
    assert.equal(head, 'Message 5 is 2 hours old and waits for 1 recipient of 1.')
    assert.match(
      first ?? '',
      /^a@x\.test \(remote\) was tried 1 minute ago, with the answer "no route"; the next attempt is in 6 minutes, at \d{4}-/,
    )
  })
  it('tells apart: never tried, due, running, held, delivered, failed', () => {
    const untried = { ...waiting, lastText: '', lastMs: 0, nextMs: now }
    const say = (change: Partial<QueuedMessage>): string => explainMessage({ ...message, ...change }, now).join(' ')
    assert.match(say({ recipients: [untried] }), /has not been tried yet; it is due now and waits for a free place\./)
    assert.match(say({ delivering: true }), /an attempt is running now\./)
    assert.match(say({ held: true }), /It is held/)
    const others = say({ recipients: [waiting, { ...waiting, state: 'done' }, { ...waiting, state: 'failed' }] })
    assert.match(others, /waits for 1 recipient of 3\..* 1 recipient has it already\. 1 recipient failed for good/)
  })
  it('says the cause on this machine, with path and remedy', () => {
    const detail = 'maildir /srv/m/: ENOSPC: no space left on device, write'
    const full = {
      ...waiting,
      channel: 'local',
      lastText: 'Temporary error on maildir delivery. (#4.3.0)',
      lastDetail: detail,
    }
    const said = explainMessage({ ...message, recipients: [full] }, now).join(' ')
    assert.ok(said.includes(`The log says: ${detail}. Cause: the disk is full (/srv/m/). To do: make room`), said)
  })
  it('an answer in several lines is read as one', () => {
    const lines = { ...waiting, lastText: 'x does not like recipient.\r\nRemote host said: 450-later\n450 please\n' }
    assert.match(
      explainMessage({ ...message, recipients: [lines] }, now)[1] ?? '',
      /"x does not like recipient\. Remote host said: 450-later 450 please"/,
    )
  })
  it('a peer’s answer cannot steer the terminal', () => {
    const sly = { ...waiting, lastText: 'ok\u001b[2J\r\n\u202e' }
    assert.ok(
      explainMessage({ ...message, recipients: [sly] }, now)
        .join('')
        .includes('"ok?[2J ?"'),
    )
  })
})

it('tables: columns are as wide as what is seen', () => {
  assert.equal(
    table([
      ['a', 'b'],
      ['\u001b[1mlong\u001b[22m', ''],
    ]),
    'a     b\n\u001b[1mlong\u001b[22m',
  )
  assert.equal(harmless('plain é'), 'plain é')
})

it('log lines of all programs are read', () => {
  assert.deepEqual(parseLogLine('2026-11-21T22:02:40.136Z queue: new msg 5'), {
    atMs: Date.UTC(2026, 10, 21, 22, 2, 40, 136),
    text: 'new msg 5',
  })
  assert.equal(parseLogLine('    at file.ts: 5'), undefined)
})

describe('a command that is none', () => {
  it('is taken for the beginning of one', () => {
    const said = "error: unknown command 'stat'\n(Did you mean start?)\n"
    assert.equal(suggestByBeginning(quaver(), said), "error: unknown command 'stat'\n(Did you mean status?)\n")
    const other = "error: unknown command 'sned'\n(Did you mean send?)\n"
    assert.equal(suggestByBeginning(quaver(), other), other)
  })
})
