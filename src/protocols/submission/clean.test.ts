import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { CdbReader } from '../qmail/cdb.ts'
import { HeaderGatherer } from '../rfc822/header.ts'
import { type CleaningFacts, cleanHeader } from './clean.ts'
import { makeMessageId } from './complete-header.ts'
import { defaultRewriting, parseRewriting, rewriteAddress } from './rewriting.ts'
import { compileSenderRules, findSenderRule } from './sender-rules.ts'

const host = { defaulthost: 'lab.example', defaultdomain: 'lab.example', plusdomain: 'plus.example' }
const facts: CleaningFacts = {
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
const notShown = 'Cc: recipient list not shown: ;'

/** What a field becomes, its name left out. */
function field(name: string, value: string, more: Partial<CleaningFacts> = {}): string {
  const prefix = `${name}:`
  const { text } = cleaned(`${prefix}${value}\n`, more)
  const at = text.indexOf(`\n${prefix}`) + 1
  return text.slice(at + prefix.length, at + (/\n(?![ \t])/.exec(text.slice(at))?.index ?? 0))
}

function to(value: string): string {
  return field('To', value)
}

describe('a header after cleaning', () => {
  it('has what every message must have, on top', () => {
    assert.deepEqual(clean(''), [usual.date, usual.id, from, notShown])
    assert.deepEqual(clean('X: y\n').at(-1), 'X: y')
  })

  it('keeps the order of its fields, and repeated ones apart', () => {
    const header =
      'X: 1\nCC: a@b.c\nreceived: x\nTo: d@e.f\nFrom: joe@lab.example\nTo : g@h.i\nDate: x\nDate: y\nMessage-Id: <z>\nX: 2\n'
    assert.equal(cleaned(header).text, header)
  })

  it('lacks what must not travel', () => {
    const text = cleaned(
      'BCC: a@b\nbcc :\n c@d\nResent-Bcc: e@f\nReturn-Path: <x>\nApparently-To: y\nContent-Length: 7\nTo: z@z.z\n',
    ).text
    assert.doesNotMatch(text, /a@b|c@d|e@f|Return-Path|Apparently|Length/i)
  })

  it('says so if there is neither To nor Cc', () => {
    assert.ok(clean('Subject: x\n').includes(notShown))
    for (const header of ['To:', 'Cc: ', 'To: (nobody)']) assert.ok(!clean(`${header}\n`).includes(notShown))
  })

  it('keeps dates that are there, whatever they say', () => {
    for (const date of [
      ' Thu, 1 Jan 26 1:02:03 EST',
      ' mar, 14 apr 2026 10:00:00 +0200',
      ' Tue, 14 Apr 2026 10:00:00 GMT+0100',
      ' Tue, 14 Apr 2026 10:00:00 +01:00',
      ' 14 Apr 2026 10:00:00 --0400',
      ' yesterday',
      '\n 2026-04-14T10:00:00Z',
    ]) {
      const { text } = cleaned(`Date:${date}\n`)
      assert.ok(text.endsWith(`\nDate:${date}\n`) && text.split('Date:').length === 2, text)
    }
    assert.deepEqual(clean('Date: \nMessage-ID:\n').slice(0, 2), [usual.date, usual.id])
  })

  it('has an author: the sender, if nobody else is', () => {
    for (const nobody of ['From: (me)', 'From: group:;', 'From: @dom', 'From: Jane Doe', 'From: "Jane Doe"', 'From:'])
      assert.deepEqual(
        clean(`${nobody}\n`).filter((line) => line.startsWith('From')),
        [from],
        nobody,
      )
    assert.ok(clean('', { sender: 'a b"@lab.example' }).includes('From: "a b\\""@lab.example'))
    assert.equal(field('From', ' "Doe, Joe" <>'), ' "Doe, Joe" <joe@lab.example>')
    assert.deepEqual(new Set(cleaned('From: <>\n').authors), new Set(['joe@lab.example']))
    assert.deepEqual(cleaned('').authors, ['joe@lab.example'])
  })

  it('has the author that the person’s rules say, whoever was there', () => {
    const author = { name: 'Joe (at home), Esq.', address: 'joe@home.example' }
    assert.deepEqual(
      clean('From: x@y.z\nFrom: mary\n', { author }).filter((line) => line.startsWith('From')),
      ['From: "Joe (at home), Esq." <joe@home.example>'],
    )
    assert.deepEqual(cleaned('From: x@y.z\n', { author }).authors, ['joe@home.example'])
    assert.ok(clean('', { author: { ...author, name: '' } }).includes('From: joe@home.example'))
    assert.ok(clean('', { author: { ...author, name: 'Joe Q' } }).includes('From: Joe Q <joe@home.example>'))
    assert.ok(
      clean('', { author: { ...author, name: 'Joe\nBcc: x' } }).includes('From: "Joe Bcc: x" <joe@home.example>'),
    )
  })

  it('names everybody who claims to have written or sent it', () => {
    const { authors } = cleaned(
      'From: a@x.y\nSender: b\nResent-From: g: c@x.y;\nResent-Sender: <d>\nfrom : e@x.y, f@x.y\nReply-To: z@x.y\n',
    )
    assert.deepEqual([...new Set(authors)].sort(), [
      'a@x.y',
      'b@lab.example',
      'c@x.y',
      'd@lab.example',
      'e@x.y',
      'f@x.y',
    ])
  })

  it('passes bytes on as they are', () => {
    assert.ok(clean('Subject: caf\xe9 \x01\n\tmore \xff\n').join('\n').endsWith('Subject: caf\xe9 \x01\n\tmore \xff'))
  })
})

describe('an address field after cleaning', () => {
  it('is complete: hosts are put where they are missing, and nothing else changes', () => {
    assert.equal(
      to(' mary@, "a,b"  <x@y+>,\n\tJ. <@a.b:z@q.> (c),joe'),
      ' mary@lab.example, "a,b"  <x@y.plus.example>,\n\tJ. <@a.b:z@q.lab.example> (c),joe@lab.example',
    )
    assert.equal(to(' friends:joe,a@b.c ;'), ' friends:joe@lab.example,a@b.c ;')
    assert.equal(to(' joe (at @ home)'), ' joe@lab.example (at @ home)')
    assert.equal(to(' <joe>, <"j q">'), ' <joe@lab.example>, <"j q"@lab.example>')
    for (const name of ['Cc', 'Reply-To', 'Mail-Reply-To', 'Mail-Followup-To', 'Notice-Requested-Upon-Delivery-To'])
      assert.equal(field(name, ' joe'), ' joe@lab.example')
  })

  it('is changed where control/rewrite changes an address that was complete', () => {
    const parsed = parseRewriting('=old.example:new.example\n')
    assert.ok(parsed.valid)
    assert.equal(
      field('To', ' "Joe"\n <joe@OLD.example>, x@y', { rewriting: parsed.instructions }),
      ' "Joe"\n <joe@new.example>, x@y',
    )
  })

  it('stays where nothing is to be completed or nobody knows what it says', () => {
    for (const value of [
      ' =?utf-8?Q?Doe,_Jane?= <jane@b.example>',
      ' "Doe, =?utf-8?b?SsOzaG4i?= <john.doe@b.example>, joe',
      ' [Org] Jane <jane@b.example>, Jane (via Docs) <jane@b.example>',
      ` =?utf-8?B?${'QUJD'.repeat(40)}?=\n =?utf-8?B?${'QUJD'.repeat(40)}?= <a@b.c>`,
      ' <Undisclosed-Recipient:;>',
      ' undisclosed-recipients:;',
      ' Jane Doe, =?utf-8?Q?Jane?=, =?utf-8?Q?Doe, Jane?=',
      ' <>',
      ' \x1b$B;3\\ED\x1b(B <taro@x.example>, joe',
      ' joe\\ public, joe <joe',
      '  "Q" <a@b.c> ;, ,',
      '',
    ])
      assert.equal(to(value), value)
    assert.equal(field('Sender', ' @dom'), ' @dom')
    assert.deepEqual(cleaned('Sender: @dom\n').authors, ['joe@lab.example'])
  })

  it('comes out byte for byte if it was complete, however it is written', () => {
    const blank = fc.constantFrom('', ' ', '  ', '\n ', '\n\t')
    const atom = fc.stringMatching(/^[a-z0-9!#$%&'*+/^_`{|}~\x80-\xff-]{1,12}$/)
    const inQuotes = fc.stringMatching(/^[ !#-[\]-~\x80-\xff]{0,20}$/).map((text) => `"${text}"`)
    const encoded = fc.stringMatching(/^[!->@-~]{0,90}$/).map((text) => `=?utf-8?Q?${text}?=`)
    const comment = fc.stringMatching(/^[ -'*-[\]-~]{0,12}$/).map((text) => `(${text})`)
    const gap = fc.tuple(blank, fc.option(comment, { nil: '' }), blank).map((parts) => parts.join(''))
    const spec = fc
      .tuple(fc.oneof(atom, inQuotes), fc.stringMatching(/^[a-z0-9-]{1,8}(\.[a-z0-9-]{1,8}){1,3}$/))
      .map(([local, domain]) => `${local}@${domain}`)
    const phrase = fc.array(fc.tuple(fc.oneof(atom, inQuotes, encoded, comment), gap), { maxLength: 4 })
    const mailbox = fc.oneof(
      spec,
      fc.tuple(phrase, spec).map(([words, address]) => `${words.flat().join(' ')} <${address}>`),
    )
    const item = fc.oneof(
      { weight: 5, arbitrary: mailbox },
      fc
        .tuple(atom, fc.array(mailbox, { minLength: 1, maxLength: 3 }))
        .map(([name, list]) => `${name}: ${list.join(',')};`),
    )
    const value = fc.array(
      fc.tuple(gap, item, gap).map((parts) => parts.join('')),
      { minLength: 1, maxLength: 5 },
    )
    const name = fc.constantFrom(
      'From',
      'to',
      'CC ',
      'Sender',
      'Reply-To',
      'Mail-Followup-To',
      'Resent-From',
      'Subject',
    )
    const fields = fc.array(
      fc.tuple(name, value).map(([key, items]) => `${key}:${items.join(',')}\n`),
      { maxLength: 6 },
    )
    fc.assert(
      fc.property(fields, (list) => {
        const header = `${list.join('')}Date: x\nMessage-ID: <y>\nFrom: a@b.c\nTo: d@e.f\n`
        assert.equal(cleaned(header).text, header)
      }),
      { numRuns: 400 },
    )
  })

  it('loses no byte but those of hosts that are changed, and does not change when it is cleaned again', () => {
    const name = fc.constantFrom('From', 'to', 'CC ', 'Date', 'Message-Id', 'Sender', 'X', 'Resent-From', 'Reply-To')
    const piece = fc.constantFrom(
      ...['a@b.c', 'joe', 'd@pc', ...',<>"():;\\.@[]=? \t\xe9\x1b'.split(''), '\n ', '=?u?q?x,?='],
    )
    const anyField = fc
      .tuple(name, fc.array(piece, { maxLength: 12 }))
      .map(([key, parts]) => `${key}:${parts.join('')}\n`)
    const rules = parseRewriting('=:HOST\n=pc:HOST\n')
    assert.ok(rules.valid)
    const rewriting = rules.instructions
    fc.assert(
      fc.property(fc.array(anyField, { maxLength: 8 }), (list) => {
        const header = `${list.join('')}From: a@b.c\n`
        const { text } = cleaned(header, { rewriting })
        assert.equal(cleaned(text, { rewriting }).text, text)
        // An empty quoted string may be a part of the host that is changed.
        const bare = (all: string): string => all.replace(/@HOST/g, '').replace(/@pc|@/g, '').replace(/""/g, '')
        for (const one of list)
          if (!/^(from|date|message-id)/i.test(one)) assert.ok(bare(text).includes(bare(one)), `${one} in ${text}`)
      }),
      { numRuns: 400 },
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
    assert.equal(makeMessageId(facts.milliseconds, [2, 77], 'h.example'), '<20261126090807.2.77.qmail@h.example>')
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
