/** The small programs on streams, a queue and other programs that are handed in. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { failed, permanent, transient } from '../../base/outcome.ts'
import { callProgram, type CallSetup } from '#test/kit/qmail-call.ts'
import type { Program, RunEnd } from './call.ts'
import { bouncesaying, except, preline } from './child-programs.ts'
import { condredirect, forward } from './forward.ts'
import { field822, header822, iftocc } from './read-header.ts'
import { datemail, mailsubj, predate } from './small-senders.ts'

const delivery = {
  SENDER: 's@x',
  NEWSENDER: 'n@x',
  DTLINE: 'Delivered-To: a@b\n',
  RPLINE: 'Return-Path: <s@x>\n',
  UFLINE: 'From s@x Sat Nov 21 09:08:07 2026\n',
}

/** Exit code and words. */
async function say(program: Program, setup: CallSetup): Promise<string> {
  const { code, stdout, stderr } = await callProgram(program, { variables: delivery, ...setup })
  return `${code} ${stdout}${stderr}`.trimEnd()
}

const ends = (end: RunEnd) => () => end
const exits = (code: number) => ends({ kind: 'exit', code })

describe('forward', () => {
  it('sends on from NEWSENDER, with the line that stops loops', async () => {
    const end = await callProgram(forward, {
      name: 'forward',
      args: ['b@c', ''],
      variables: delivery,
      input: 'Subject: x\n\nno end',
    })
    assert.deepEqual(end, {
      code: 0,
      stdout: '',
      stderr: 'forward: qp 7\n',
      envelope: 'Fn@x\0Tb@c\0T\0\0',
      content: 'Delivered-To: a@b\nSubject: x\n\nno end',
    })
  })

  it('says why not', async () => {
    const call = { name: 'forward', args: ['b@c'] }
    assert.equal(await say(forward, { ...call, variables: {} }), '100 forward: fatal: NEWSENDER not set')
    assert.equal(await say(forward, { ...call, variables: { NEWSENDER: '' } }), '100 forward: fatal: DTLINE not set')
    const full = transient('3.0', 'qq write error or disk full')
    assert.equal(await say(forward, { ...call, outcome: failed(full) }), `111 forward: fatal: ${full.peerText}`)
    assert.equal(
      await say(forward, { ...call, outcome: failed(permanent('0.0', 'no')) }),
      '100 forward: fatal: no (#5.0.0)',
    )
  })
})

describe('condredirect', () => {
  const call = { name: 'condredirect', args: ['b@c', 'test', '-f', 'x'] }

  it('sends on from SENDER where its program says 0, and ends the delivery', async () => {
    const end = await callProgram(condredirect, { ...call, variables: delivery, input: 'x\n', run: exits(0) })
    assert.deepEqual([end.code, end.stderr, end.envelope], [99, 'condredirect: qp 7\n', 'Fs@x\0Tb@c\0\0'])
  })

  it('goes on where it says no, and waits where nobody can tell', async () => {
    const usage = '100 condredirect: usage: condredirect newaddress program [ arg ... ]'
    assert.equal(await say(condredirect, { ...call, args: ['b@c'] }), usage)
    for (const code of [1, 99, 100]) assert.equal(await say(condredirect, { ...call, run: exits(code) }), '0')
    assert.equal(
      await say(condredirect, { ...call, run: exits(111) }),
      '111 condredirect: fatal: temporary child error',
    )
    assert.equal(
      await say(condredirect, { ...call, run: ends({ kind: 'crash' }) }),
      '111 condredirect: fatal: child crashed',
    )
    assert.equal(await say(condredirect, call), '0')
    const busy = ends({ kind: 'absent', error: 'EMFILE' })
    assert.equal(await say(condredirect, { ...call, run: busy }), '111 condredirect: fatal: temporary child error')
  })
})

describe('bouncesaying and except', () => {
  it('bounce, or not, by what their program says', async () => {
    const bounce = { name: 'bouncesaying', args: ['no luck', 'test'] }
    assert.equal(
      await say(bouncesaying, { ...bounce, args: [] }),
      '100 bouncesaying: usage: bouncesaying error [ program [ arg ... ] ]',
    )
    assert.equal(await say(bouncesaying, { ...bounce, args: ['no luck'] }), '100 no luck')
    assert.equal(await say(bouncesaying, { ...bounce, run: exits(0) }), '100 no luck')
    assert.equal(await say(bouncesaying, { ...bounce, run: exits(1) }), '0')
    assert.equal(
      await say(bouncesaying, { ...bounce, run: exits(111) }),
      '111 bouncesaying: fatal: temporary child error',
    )
    const negation = { name: 'except', args: ['test'] }
    assert.equal(await say(except, { ...negation, args: [] }), '100 except: usage: except program [ arg ... ]')
    assert.deepEqual(await Promise.all([0, 1, 100].map((code) => say(except, { ...negation, run: exits(code) }))), [
      '100',
      '0',
      '0',
    ])
    assert.equal(await say(except, { ...negation, run: exits(111) }), '111 except: fatal: temporary child error')
  })
})

describe('preline', () => {
  const fed = async (...args: readonly string[]): Promise<string> => {
    let given = ''
    const run = (_: readonly string[], input: string): RunEnd => {
      given = input
      return { kind: 'exit', code: 3 }
    }
    const { code } = await callProgram(preline, { name: 'preline', args, variables: delivery, input: 'x\n', run })
    assert.equal(code, 3)
    return given
  }

  it('puts the lines in front that are not taken away', async () => {
    assert.equal(await fed('cat', '-f'), `${delivery.UFLINE}${delivery.RPLINE}${delivery.DTLINE}x\n`)
    assert.equal(await fed('-fr', 'cat'), `${delivery.DTLINE}x\n`)
    assert.equal(await fed('-fD', '-F', '-d', '--', 'cat'), `${delivery.UFLINE}${delivery.RPLINE}x\n`)
  })

  it('says why not', async () => {
    const call = { name: 'preline' }
    assert.equal(await say(preline, call), '100 preline: usage: preline cmd [ arg ... ]')
    assert.equal(await say(preline, { ...call, args: ['-x', 'cat'] }), '100 preline: usage: preline cmd [ arg ... ]')
    assert.equal(
      await say(preline, { ...call, args: ['cat'] }),
      '100 preline: fatal: unable to run cat: file does not exist',
    )
    const usage = '100 preline: usage: preline cmd [ arg ... ]'
    assert.equal(await say(preline, { ...call, args: ['cat'], variables: {} }), usage)
  })
})

describe('mailsubj, predate and datemail', () => {
  const variables = {
    QMAILUSER: 'joe',
    QMAILHOST: 'x.test',
    QMAILDEFAULTHOST: 'x.test',
    QMAILDEFAULTDOMAIN: 'test',
    QMAILPLUSDOMAIN: 'test',
    QMAILIDHOST: 'x.test',
  }

  it('make a message of arguments and a body', async () => {
    const args = ['hello\nBcc: evil@x.test', 'a@b.c', 'd']
    const end = await callProgram(mailsubj, { name: 'mailsubj', args, variables, input: 'body' })
    assert.equal(end.envelope, 'Fjoe@x.test\0Td@x.test\0Ta@b.c\0\0')
    assert.match(end.content ?? '', /\nSubject: hello Bcc: evil@x\.test\nTo: a@b\.c, d@x\.test\n\nbody\n$/)
  })

  it('put a date of this zone in front', async () => {
    const date = /^Date: \d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\n/
    let given = ''
    const run = (_: readonly string[], input: string): RunEnd => {
      given = input
      return { kind: 'exit', code: 5 }
    }
    assert.equal((await callProgram(predate, { name: 'predate', args: ['cat'], input: 'x\n', run })).code, 5)
    assert.match(given, date)
    const end = await callProgram(datemail, { name: 'datemail', args: ['a@b.c'], variables, input: 'Subject: x\n\n' })
    assert.match(end.content?.replace(/^[^]*?\n(?=Date)/, '') ?? '', date)
    assert.equal(end.content?.match(/^Date:/gm)?.length, 1)
  })
})

describe('iftocc, 822field and 822header', () => {
  const input =
    'To: Joe <JOE@x.test>,\n mary@x.test\nSubject:  one\n two\nBcc: bob@x.test\nSubject:\n\nCc: body@x.test\n'
  const answer = (args: readonly string[], variables: Readonly<Record<string, string>> = {}): Promise<string> =>
    say(iftocc, { name: 'iftocc', args, variables, input })

  it('say whether somebody is in To or Cc', async () => {
    assert.equal(await answer([], { RECIPIENT: 'joe@X.test' }), '0')
    assert.equal(await answer(['nobody@x.test', 'mary@x.test'], { RECIPIENT: 'nobody@x.test' }), '0')
    for (const other of ['bob@x.test', 'body@x.test', 'joe']) assert.equal(await answer([other]), '100')
    assert.equal(await answer([]), '100 iftocc: fatal: RECIPIENT not set')
  })

  it('print fields', async () => {
    const call = { name: '822field', input }
    assert.deepEqual((await callProgram(field822, call)).stdout, '  one\n two\n\n')
    assert.equal(await say(field822, { ...call, args: ['x-none'] }), '100')
    const header = await callProgram(header822, { ...call, name: '822header' })
    assert.equal(header.stdout, input.slice(0, input.indexOf('\n\n') + 1))
  })
})
