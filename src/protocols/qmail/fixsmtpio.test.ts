import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyRules, type FixedReply, parseFixSmtpIo, requestPrepend, type Rule } from './fixsmtpio.ts'

/** What qmail-run ships. */
const shipped = `# default rules
:help::*::&fixsmtpio_fixup
:greeting::2*::&fixsmtpio_fixup
:helo::2*::&fixsmtpio_fixup
:ehlo::2*::&fixsmtpio_fixup
:quit::2*::&fixsmtpio_fixup
:rcpt::451 GL - temporary*::451 greylisted, retry later (#4.7.1)
:data::451 GL - temporary*::451 greylisted, retry later (#4.7.1)
FIXSMTPIOTLS:greeting::2*::
AUTHUP_USER:greeting::2*::235 ok, go ahead (#2.0.0)
AUTHUP_USER:clienteof::*:0:&fixsmtpio_noop
AUTHUP_USER:greeting::4*:14:&fixsmtpio_noop
AUTHUP_USER:greeting::5*:15:&fixsmtpio_noop
AUTHUP_USER:timeout::*:16:
AUTHUP_USER:ehlo::250?AUTH*::
AUTHUP_USER:auth:NOOP :*::502 unimplemented (#5.5.1)
`

function rulesOf(text: string): readonly Rule[] {
  const parsed = parseFixSmtpIo(text)
  assert.ok(parsed.valid, JSON.stringify(parsed))
  return parsed.rules
}

interface Circumstances {
  readonly env?: readonly string[]
  readonly tls?: 'offered' | 'on'
}

function fixed(text: string, event: string, lines: string[], { env = [], tls }: Circumstances = {}): FixedReply {
  const environment = new Map(env.map((name) => [name, '']))
  const context = { event, environment, greeting: 'mx.example', tlsOffered: tls !== undefined, tlsOn: tls === 'on' }
  return applyRules(rulesOf(text), context, lines)
}

test('the rules that qmail-run ships', () => {
  const of = (event: string, lines: string[], more?: Circumstances): readonly string[] =>
    fixed(shipped, event, lines, more).lines
  assert.deepEqual(of('greeting', ['220 other ESMTP']), ['220 mx.example ESMTP'])
  assert.deepEqual(of('HELO', ['250 other']), ['250 mx.example'])
  assert.deepEqual(of('quit', ['221 other']), ['221 mx.example'])
  const help = ['214-fixsmtpio home page: https://schmonz.com/qmail/acceptutils', '214 home']
  assert.deepEqual(of('help', ['214 home']), help)
  const ehlo = ['250-other', '250-STARTTLS', '250 8BITMIME']
  assert.deepEqual(of('ehlo', ehlo), ['250-mx.example', '250 8BITMIME'])
  assert.deepEqual(of('ehlo', ehlo, { tls: 'offered' }), ['250-mx.example', '250-STARTTLS', '250 8BITMIME'])
  assert.deepEqual(of('ehlo', ehlo, { tls: 'on' }), ['250-mx.example', '250 8BITMIME'])
  const greylisted = ['451 greylisted, retry later (#4.7.1)']
  assert.deepEqual(of('rcpt', ['451 GL - temporary problem. Try again later (#4.3.0)']), greylisted)
  assert.deepEqual(of('rcpt', ['250 ok']), ['250 ok'])
  assert.deepEqual(of('greeting', ['220 other ESMTP'], { env: ['FIXSMTPIOTLS'] }), [])
  assert.deepEqual(of('greeting', ['220 x ESMTP'], { env: ['AUTHUP_USER'] }), ['235 ok, go ahead (#2.0.0)'])
  const authed = { env: ['AUTHUP_USER'], tls: 'offered' } as const
  assert.deepEqual(of('ehlo', ['250-x', '250-AUTH LOGIN', '250 SIZE'], authed), ['250-mx.example', '250 SIZE'])
})

test('exit codes: the last rule that matches; the end of the client’s input', () => {
  const env = ['AUTHUP_USER']
  assert.equal(fixed(shipped, 'greeting', ['421 no'], { env }).exitCode, 14)
  assert.deepEqual(fixed(shipped, 'clienteof', [], { env }), { lines: [], exitCode: 0, decidedBy: [11] })
  assert.deepEqual(fixed(shipped, 'timeout', ['451 timeout'], { env }), { lines: [], exitCode: 16, decidedBy: [14] })
  assert.equal(fixed(shipped, 'timeout', ['451 timeout']).exitCode, undefined)
  assert.equal(fixed(':noop::*:3:&fixsmtpio_noop\n:noop::250*:4:&fixsmtpio_noop', 'noop', ['250 ok']).exitCode, 4)
})

test('a rule sees the line as it was at first, and only the sixth field holds colons', () => {
  const text = ':noop::250 ok::250 one: two\n:noop::250 one*::250 never\n:noop::250 o?::250 last'
  assert.deepEqual(fixed(text, 'noop', ['250 ok']).lines, ['250 last'])
  assert.deepEqual(fixed(':noop::*::250 a:b:c', 'noop', ['250 ok']).lines, ['250 a:b:c'])
})

test('what goes before the request', () => {
  const rules = rulesOf(shipped)
  assert.equal(requestPrepend(rules, 'AUTH', new Map([['AUTHUP_USER', 'joe']])), 'NOOP ')
  assert.equal(requestPrepend(rules, 'AUTH', new Map()), '')
})

test('one invalid line, and there are no rules: it is named with the reason', () => {
  const cases: readonly [string, RegExp][] = [
    ['a:b:c', /3 fields/],
    ['::::: ', /event is missing/],
    [':helo::::x', /glob is missing/],
    [':helo::*:256:x', /256 is not 0 to 255/],
    [':helo::*:-1:x', /not 0 to 255/],
    [':helo::*:1x:x', /not 0 to 255/],
    [':clienteof::*::250 bye', /cannot have a response/],
    [':rcpt::*::&fixsmtpio_fixup', /no &fixsmtpio_fixup for the event rcpt/],
    [':helo::*::&fixsmtpio_other', /not known/],
  ]
  for (const [line, reason] of cases) {
    const parsed = parseFixSmtpIo(`# first\n\n:quit::*::221 bye\n${line}\n:noop::*::x`)
    assert.ok(!parsed.valid, line)
    assert.equal(parsed.line, 4)
    assert.match(parsed.reason, reason)
  }
})
