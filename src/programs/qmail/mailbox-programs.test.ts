/** maildir2mbox, qreceipt and splogger, beside what the real ones did. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { failed, permanent, transient } from '../../base/outcome.ts'
import { callProgram } from '../../../test/kit/qmail-call.ts'
import { maildir2mbox } from './maildir2mbox.ts'
import { qreceipt } from './qreceipt.ts'
import { splogger } from './splogger.ts'

describe('maildir2mbox', () => {
  it('moves the messages in the order of their times, quoted, and keeps what is of this second', async (t) => {
    const base = mkdtempSync(join(tmpdir(), 'quaver-mbox-'))
    t.after(() => rmSync(base, { recursive: true, force: true }))
    for (const name of ['tmp', 'new', 'cur']) mkdirSync(join(base, 'm', name), { recursive: true })
    const put = (name: string, text: string, at: number): void => {
      writeFileSync(join(base, 'm', name), text)
      utimesSync(join(base, 'm', name), at, at)
    }
    put('cur/b:2,S', 'Return-Path: <>\n\nbody\n', 200)
    put('new/a', 'Return-Path: <joe@x y>\n\nFrom here\n>From x\nend', 100)
    put('new/c', 'Subject: none\n\nx\n', 300)
    put('new/now', 'x\n', 1000)
    writeFileSync(join(base, 'mbox'), 'From old\n\nold\n\n')
    const variables = { MAIL: join(base, 'mbox'), MAILTMP: join(base, 'mbox.tmp'), MAILDIR: join(base, 'm') }
    assert.equal((await callProgram(maildir2mbox, { name: 'maildir2mbox', variables, now: 1_000_000 })).code, 0)
    assert.equal(
      readFileSync(join(base, 'mbox'), 'latin1'),
      'From old\n\nold\n\n' +
        'From joe@x-y Thu Jan 01 00:01:40 1970\nReturn-Path: <joe@x y>\n\n>From here\n>>From x\nend\n\n' +
        'From MAILER-DAEMON Thu Jan 01 00:03:20 1970\nReturn-Path: <>\n\nbody\n\n' +
        'From XXX Thu Jan 01 00:05:00 1970\nSubject: none\n\nx\n\n',
    )
    assert.deepEqual([readdirSync(join(base, 'm/new')), readdirSync(join(base, 'm/cur'))], [['now'], []])
  })

  it('says what is missing', async () => {
    const say = async (variables: Readonly<Record<string, string>>): Promise<string> => {
      const { code, stderr } = await callProgram(maildir2mbox, { name: 'maildir2mbox', variables })
      return `${code} ${stderr}`
    }
    assert.equal(await say({}), '111 maildir2mbox: fatal: MAIL not set\n')
    assert.equal(
      await say({ MAIL: 'a', MAILTMP: 'b', MAILDIR: '/no/such' }),
      '111 maildir2mbox: fatal: unable to chdir to /no/such: file does not exist\n',
    )
  })
})

describe('qreceipt', () => {
  const input = 'Notice-Requested-Upon-Delivery-To: a b <joe@x>\nMessage-ID: <1@2>\n\nbody\n'
  const call = { name: 'qreceipt', args: ['joe@x'], variables: { SENDER: 's"@y' }, input }

  it('tells the sender who asked', async () => {
    const { code, envelope, content } = await callProgram(qreceipt, call)
    assert.deepEqual([code, envelope], [0, 'F\0Ts"@y\0\0'])
    assert.equal(
      content,
      'From: DELIVERY NOTICE SYSTEM <"s\\""@y>\nTo: <"s\\""@y>\nSubject: success notice\n\n' +
        'Hi! This is the qreceipt program. Your message was delivered to the\n' +
        'following address: joe@x. Thanks for asking.\nYour Message-ID: <1@2>\n',
    )
  })

  it('tells nobody else, and says when it cannot', async () => {
    for (const other of [{ args: ['mary@x'] }, { variables: { SENDER: '' } }, { variables: { SENDER: '#@[]' } }]) {
      const { code, envelope } = await callProgram(qreceipt, { ...call, ...other })
      assert.deepEqual([code, envelope], [0, undefined])
    }
    const say = async (failure: Parameters<typeof failed>[0]): Promise<string> => {
      const { code, stderr } = await callProgram(qreceipt, { ...call, outcome: failed(failure) })
      return `${code} ${stderr}`
    }
    assert.equal(await say(permanent('3.0', 'no')), '100 qreceipt: fatal: permanent qmail-queue error\n')
    assert.equal(await say(transient('3.0', 'later')), '111 qreceipt: fatal: temporary qmail-queue error\n')
    assert.equal((await callProgram(qreceipt, { ...call, variables: {} })).code, 100)
  })
})

describe('splogger', () => {
  it('stamps lines, folds long ones, and knows how urgent they are', async () => {
    let given: unknown
    const { code } = await callProgram(splogger, {
      name: 'splogger',
      args: ['qmail', '3'],
      now: 1_234_567,
      input: `status: local 0/10\nalert: a\tb\xff\n\nwarning: ${'w'.repeat(800)}\nunfinished`,
      run: (command, input) => {
        given = [command, input]
        return { kind: 'exit', code: 0 }
      },
    })
    const stamp = '1234.567000'
    assert.equal(code, 0)
    assert.deepEqual(given, [
      ['logger', '--prio-prefix', '-t', 'qmail', '--'],
      `<30>${stamp} status: local 0/10\n<25>${stamp} alert: a?b?\n` +
        `<28>${stamp} warning: ${'w'.repeat(790)}\n<28>${stamp}+${'w'.repeat(10)}\n`,
    ])
    assert.equal((await callProgram(splogger, { name: 'splogger' })).code, 111)
  })
})
