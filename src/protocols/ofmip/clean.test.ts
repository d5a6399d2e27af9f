import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { CdbReader } from '../qmail/cdb.ts'
import { HeaderGatherer } from '../rfc822/header.ts'
import { type CleaningFacts, cleanHeader, makeMessageId, rewriteAddress } from './clean.ts'
import { defaultRewriting } from './rewriting.ts'
import { compileSenderRules, findSenderRule } from './sender-rules.ts'

const host = { defaulthost: 'lab.example', defaultdomain: 'lab.example', plusdomain: 'plus.example' }
const facts: CleaningFacts = {
  received: 'Received: (top)\n',
  milliseconds: Date.UTC(2026, 10, 26, 9, 8, 7),
  messageId: '<id@lab.example>',
  rewriting: defaultRewriting(host),
  sender: 'joe@lab.example',
  author: undefined,
}

function clean(header: string, more: Partial<CleaningFacts> = {}): string[] {
  return cleaned(header, more).text.split('\n').slice(0, -1)
}

function cleaned(header: string, more: Partial<CleaningFacts> = {}): ReturnType<typeof cleanHeader> {
  const gatherer = new HeaderGatherer()
  gatherer.push(header)
  gatherer.end()
  return cleanHeader(gatherer.fields, { ...facts, ...more })
}

const usual = { date: 'Date: 26 Nov 2026 09:08:07 -0000', id: 'Message-ID: <id@lab.example>' }
const from = 'From: joe@lab.example'

describe('a header after cleaning', () => {
  it('has what every message must have', () => {
    assert.deepEqual(clean(''), ['Received: (top)', usual.date, usual.id, from, 'Cc: recipient list not shown: ;'])
  })

  it('has its fields in one order', () => {
    const names = [
      'X-One',
      'Notice-Requested-Upon-Delivery-To',
      'Cc',
      'To',
      'Mail-Followup-To',
      'Mail-Reply-To',
      'Reply-To',
      'Sender',
      'From',
      'Resent-To',
      'Errors-To',
      'Received',
      'Delivered-To',
      'Return-Receipt-To',
      'Subject',
      'X-One',
    ]
    const order = clean(names.map((name, at) => `${name}: a${at}@x.y\n`).join('')).map((line) => line.split(':')[0])
    assert.deepEqual(order, [
      'Received',
      'Resent-To',
      'Errors-To',
      'Received',
      'Delivered-To',
      'Return-Receipt-To',
      'Date',
      'Message-ID',
      'From',
      'Sender',
      'Reply-To',
      'Mail-Reply-To',
      'Mail-Followup-To',
      'To',
      'Cc',
      'Notice-Requested-Upon-Delivery-To',
      'X-One',
      'Subject',
      'X-One',
    ])
  })

  it('lacks what must not travel', () => {
    const text = cleaned(
      'BCC: a@b\nbcc:\n c@d\nResent-Bcc: e@f\nReturn-Path: <x>\nApparently-To: y\nContent-Length: 7\nTo: z@z.z\n',
    ).text
    assert.doesNotMatch(text, /a@b|c@d|e@f|Return-Path|Apparently|Length/i)
  })

  it('has repeated fields as one', () => {
    const lines = clean('To: a@b.c\nFrom: joe@lab.example\nTO : d@e.f\nFrom: mary@lab.example\nTo:\n')
    assert.deepEqual(lines.slice(3), ['From: joe@lab.example, mary@lab.example', 'To: a@b.c, d@e.f'])
  })

  it('says so if no recipient is shown', () => {
    assert.ok(clean('To: (nobody)\nCc: \n').includes('Cc: recipient list not shown: ;'))
    assert.ok(!clean('Cc: a@b.c\n').includes('Cc: recipient list not shown: ;'))
  })

  it('has complete addresses, and the trace as it came', () => {
    const lines = clean('Resent-From: joe\nFrom: joe\nTo: mary@, x@y+, <@a.b:z@q.>\nCc: Joe <j@h>, <>\n')
    assert.deepEqual(lines.slice(1, 2), ['Resent-From: joe'])
    assert.deepEqual(lines.slice(4), [
      from,
      'To: mary@lab.example, x@y.plus.example, z@q.lab.example (@a.b)',
      'Cc: Joe <j@h.lab.example>, <>',
    ])
  })

  it('has the last date that can be read, in one form', () => {
    const date = (header: string): string | undefined => clean(header).find((line) => line.startsWith('Date:'))
    assert.equal(date('Date: Thu, 1 Jan 26 1:02:03 EST\n'), 'Date: 1 Jan 2026 01:02:03 -0500')
    assert.equal(
      date('Date: 1 Jan 2026 01:02:03 +0100\nDate: 2 Jan 2026 01:02:03 +0100\nDate: no\n'),
      'Date: 2 Jan 2026 01:02:03 +0100',
    )
    assert.equal(date('Date: yesterday\n'), usual.date)
  })

  it('keeps the message’s own id', () => {
    assert.ok(clean('message-id:\n <a@b>\n').join('\n').includes('Message-ID:\n <a@b>\n'))
    assert.ok(clean('Message-ID: \n').includes(usual.id))
  })

  it('has an author: the sender, if nobody else is', () => {
    assert.ok(clean('From: (me)\n').includes(from))
    assert.ok(clean('From: group:;\n').includes(from))
    assert.ok(clean('', { sender: 'a b"@lab.example' }).includes('From: "a b\\""@lab.example'))
  })

  it('has the author that the person’s rules say, whoever was there', () => {
    const author = { name: 'Joe (at home), Esq.', address: 'joe@home.example' }
    assert.deepEqual(
      clean('From: x@y.z\nFrom: mary\n', { author }).filter((line) => line.startsWith('From')),
      ['From: "Joe (at home), Esq." <joe@home.example>'],
    )
    assert.ok(clean('', { author: { ...author, name: '' } }).includes('From: joe@home.example'))
    assert.ok(clean('', { author: { ...author, name: 'Joe Q' } }).includes('From: Joe Q <joe@home.example>'))
  })

  it('names everybody who claims to have written or sent it', () => {
    const { authors } = cleaned(
      'From: a@x.y\nSender: b\nResent-From: g: c@x.y;\nResent-Sender: <d@x.y>\nfrom : e@x.y, f@x.y\nReply-To: z@x.y\n',
    )
    assert.deepEqual(authors.map(({ local, domain }) => `${local}@${domain}`).sort(), [
      'a@x.y',
      'b@lab.example',
      'c@x.y',
      'd@x.y',
      'e@x.y',
      'f@x.y',
    ])
  })

  it('passes bytes on as they are', () => {
    assert.ok(clean('Subject: caf\xe9 \x01\n\tmore \xff\n').join('\n').endsWith('Subject: caf\xe9 \x01\n\tmore \xff'))
  })

  it('does not change when it is cleaned again', () => {
    const name = fc.constantFrom(
      'From',
      'to',
      'CC ',
      'Date',
      'Message-Id',
      'Sender',
      'X',
      'Bcc',
      'Resent-From',
      'Reply-To',
    )
    const piece = fc.constantFrom(
      'a@b.c',
      ',',
      ' ',
      '<',
      '>',
      '"',
      '(',
      ')',
      ':',
      ';',
      'joe',
      '\n ',
      '\\',
      '\xe9',
      '.',
      '@',
    )
    const field = fc.tuple(name, fc.array(piece, { maxLength: 12 })).map(([key, parts]) => `${key}:${parts.join('')}\n`)
    fc.assert(
      fc.property(fc.array(field, { maxLength: 8 }), (fields) => {
        const once = cleaned(fields.join('')).text
        assert.equal(cleaned(once, { received: '', rewriting: [] }).text, once)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('the person’s rules', () => {
  it('are lines key:name:address:, with the last colon', () => {
    const { cdb, rules } = compileSenderRules(
      '# remark\njoe@laptop.lab.example:Joe:joe@home.example:\nshort:line\ncut:Name:a@b\nx@y::z@y:more\njoe@laptop.lab.example:2nd:q@q:\n',
    )
    assert.equal(rules, 3)
    const reader = new CdbReader(cdb)
    assert.deepEqual(findSenderRule(reader, 'joe@laptop.lab.example'), { name: 'Joe', address: 'joe@home.example' })
    assert.deepEqual(findSenderRule(reader, 'x@y'), { name: '', address: 'z@y' })
    assert.equal(findSenderRule(reader, 'cut'), undefined)
    assert.equal(reader.get('x@y'), '\0z@y')
  })
})

describe('beside the header', () => {
  it('makes ids as qmail does', () => {
    assert.equal(makeMessageId(facts.milliseconds, 2, 77, 'h.example'), '<20261126090807.2.77.qmail@h.example>')
  })
  it('completes addresses of the envelope', () => {
    const complete = (address: string): string => rewriteAddress(address, facts.rewriting)
    assert.deepEqual(['', 'joe', 'joe@', 'a@b@h', 'j@h.'].map(complete), [
      '',
      'joe@lab.example',
      'joe@lab.example',
      'a@b@h.lab.example',
      'j@h.lab.example',
    ])
  })
})
