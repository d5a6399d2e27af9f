/** Plug-ins written to qmail-spp's protocol only, run by the real exec process: every letter and every failure. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SppSession } from '../../src/programs/smtpd/plug-ins/session.ts'
import type { BuiltIn, StageOutcome } from '../../src/programs/smtpd/plug-ins/stage.ts'
import { parsePlugIns } from '../../src/protocols/spp/plug-ins.ts'
import { ExecProcess, skipWithoutInterpreter } from '../kit/exec-process.ts'

const first = { accepted: 0, asked: 1 } as const

const exec = new ExecProcess()
before(() => exec.start())
after(() => exec.stop())

const connection = new Map([
  ['TCPREMOTEIP', '192.0.2.7'],
  ['PROTO', 'TCP'],
  ['ODD', 'caf\xe9 \xff"$(id)\n'],
])

function session(lines: readonly string[], more: Readonly<Record<string, string>> = {}, limit?: number): SppSession {
  const environment = new Map([...connection, ...Object.entries(more)])
  const tools = { executor: exec.client, builtIn: () => undefined, plugInMillisecondsMax: limit }
  return new SppSession(parsePlugIns(lines), environment, tools)
}

const sh = (name: string, body: string): string => exec.program(name, `#!/bin/sh\n${body}\n`)
const mail = (...lines: string[]): string[] => ['[mail]', ...lines]

function said(outcome: StageOutcome): readonly string[] {
  const { verdict } = outcome
  if (!('reply' in verdict)) return [...outcome.printed, verdict.kind]
  return [...outcome.printed, ...verdict.before, `${verdict.reply.code} ${verdict.reply.text}`]
}

test('a shell plug-in sees exactly its environment, an empty standard input and the home', async () => {
  sh('env', 'env | sort > env.out; cat > stdin.out; pwd > pwd.out; echo "S A=$(cat stdin.out | wc -c)"')
  const spp = session(['[helo]', 'bin/env'])
  assert.deepEqual(said(await spp.helo('client.example')), ['pass'])
  const { readFileSync } = await import('node:fs')
  const read = (name: string): string => readFileSync(`${exec.home.path}/${name}`, 'latin1')
  const names = [...read('env.out').matchAll(/^([A-Z0-9]+)=/gm)].map(([, name]) => name)
  // PWD is the shell's own.
  assert.deepEqual(
    names.filter((name) => name !== 'PWD'),
    ['ODD', 'PATH', 'PROTO', 'SMTPHELOHOST', 'TCPREMOTEIP'],
  )
  assert.match(read('env.out'), /^SMTPHELOHOST=client\.example$/m)
  assert.ok(read('env.out').includes('ODD=caf\xe9 \xff"$(id)\n'), 'bytes are passed on as they are')
  assert.equal(read('stdin.out'), '')
  assert.equal(read('pwd.out').trim(), exec.home.path)
})

test('A N O E R D end the stage, each in its way', async () => {
  sh('mark', 'echo Hx-later: yes')
  const outcomeOf = async (line: string): Promise<StageOutcome> => {
    return await session(mail(`:printf '%s\\n' '${line}' 'Hx-lost: yes'; exit 7`, 'bin/mark')).mail('a@example.com')
  }
  const cases: readonly [string, readonly string[]][] = [
    ['A', ['off']],
    ['N', ['skip-stage']],
    ['O', ['skip-own-checks']],
    ['D', ['drop']],
    ['E550 no thanks (#5.7.1)', ['550 no thanks (#5.7.1)']],
    ['R421 go away', ['421 go away']],
  ]
  for (const [line, expected] of cases) {
    const outcome = await outcomeOf(line)
    assert.deepEqual(said(outcome), expected, line)
    assert.deepEqual(outcome.headers, [], `${line}: nothing after it counts`)
  }
  assert.equal((await outcomeOf('R421 go away')).verdict.kind, 'refuse-drop')
  assert.deepEqual((await outcomeOf('Zunknown')).headers, ['x-lost: yes', 'x-later: yes'])
})

test('A switches everything off for the session', async () => {
  const spp = session(['[connection]', ':echo A', '[mail]', ':echo E550 never'])
  assert.equal((await spp.connection()).verdict.kind, 'off')
  assert.equal(spp.runs('mail'), false)
  assert.deepEqual(said(await spp.mail('a@example.com')), ['pass'])
})

test('P S U H C work on, and the next plug-in sees them', async () => {
  const spp = session([
    '[mail]',
    ':printf "P250-one\\nP250 two\\nSWHITE=a=b\\nUPROTO\\nHX-One: 1\\nH\\tmore\\nCother@example.com\\n"',
    ':echo "HX-Saw: $SMTPMAILFROM $WHITE ${PROTO-none}"',
    '[rcpt]',
    ':echo "C+$SMTPRCPTTO"; echo "HX-Count: $SMTPRCPTCOUNT $SMTPRCPTCOUNTALL $SMTPRCPTHOSTSOK"',
  ])
  const outcome = await spp.mail('a@example.com')
  assert.deepEqual(said(outcome), ['250-one', '250-two', 'pass'])
  assert.equal(outcome.address, 'other@example.com')
  assert.equal((await spp.rcpt('x@example.org', true, first)).address, '+x@example.org')
  await spp.rcpt('y@example.org', false, { accepted: 1, asked: 2 })
  assert.deepEqual(spp.headers, [
    'X-One: 1',
    '\tmore',
    'X-Saw: other@example.com a=b none',
    'X-Count: 0 1 1',
    'X-Count: 1 2 0',
  ])
  assert.equal(spp.environment().get('WHITE'), 'a=b')
  assert.equal(spp.environment().has('PROTO'), false)
})

test('what one transaction set does not serve the next; what connection and helo set does', async () => {
  const spp = session([
    '[helo]',
    ':echo SLASTING=1',
    '[mail]',
    ':test "$SMTPMAILFROM" = good@example.com && echo SGL_WHITELISTED=1; echo "HReceived-SPF: pass"',
    '[rcpt]',
    ':test -n "$GL_WHITELISTED" || echo "E451 GL - temporary"; test -n "$LASTING" || echo E550 gone',
  ])
  await spp.helo('h')
  await spp.mail('good@example.com')
  assert.deepEqual(said(await spp.rcpt('x@example.org', true, first)), ['pass'])
  await spp.mail('bad@example.com')
  assert.deepEqual(said(await spp.rcpt('x@example.org', true, first)), ['451 GL - temporary'])
  assert.deepEqual(spp.headers, ['Received-SPF: pass'], 'two MAILs without RSET leave one')
})

test('LM LR LD are kept, given each time, and forgotten in time', async () => {
  const spp = session([
    '[rcpt]',
    ':printf "LD451 later\\nLD451 (#4.3.0)\\nLM550 next\\n"',
    '[data]',
    ':echo E554 not asked',
  ])
  await spp.mail('')
  assert.deepEqual(said(await spp.rcpt('x@example.org', true, first)), ['pass'])
  assert.deepEqual(said(await spp.data()), ['451-later', '451 (#4.3.0)'])
  assert.deepEqual(said(await spp.data()), ['451-later', '451 (#4.3.0)'], 'a second DATA does not get through')
  assert.deepEqual(said(await spp.mail('')), ['550 next'])
  spp.reset()
  assert.deepEqual(said(await spp.mail('')), ['pass'])
  assert.deepEqual(said(await spp.data()), ['554 not asked'])
  const refusing = session(['[mail]', ':echo LR550 nobody'])
  await refusing.mail('')
  assert.deepEqual(said(await refusing.rcpt('x@example.org', true, first)), ['550 nobody'])
})

test('a plug-in that fails refuses the command with 451', async () => {
  const failing: readonly [string, string, string][] = [
    ['crash', 'kill -SEGV $$', 'child crashed'],
    ['exit120', 'exit 120', "can't execute"],
    ['slow', 'sleep 30', 'timed out'],
    ['endless', 'while :; do echo Snothing=1; done', 'too much output'],
    ['endless-line', 'tr "\\0" x < /dev/zero', 'too much output'],
  ]
  for (const [name, body, reason] of failing) {
    sh(name, body)
    const spp = session(mail(`bin/${name}`), {}, name === 'slow' ? 300 : 20_000)
    const expected = [`451 qmail-spp failure: bin/${name}: ${reason} (#4.3.0)`]
    assert.deepEqual(said(await spp.mail('a@example.com')), expected, name)
  }
  const absent = await session(mail('/no/such/plug-in')).mail('a@example.com')
  assert.deepEqual(said(absent), ["451 qmail-spp failure: /no/such/plug-in: can't execute (#4.3.0)"])
  const fine = await session(mail(':exit 3')).mail('a@example.com')
  assert.deepEqual(said(fine), ['pass'], 'other exit codes mean nothing')
})

test('a deadline ends what the plug-in started too', async () => {
  const body = 'sleep 0.8 && echo survived > survived.out & wait'
  await session(mail(`:${body}`), {}, 100).mail('a@example.com')
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const { existsSync } = await import('node:fs')
  assert.equal(existsSync(`${exec.home.path}/survived.out`), false)
})

test('noise neither breaks a reply nor opens a door', async () => {
  const perLine: readonly [string, readonly string[]][] = [
    ['printf "E550 a\\r\\n250 b\\n"', ['550 a']],
    ['printf "E550 a\\rb\\001c\\351\\n"', ['550 a?b?c?']],
    ['printf "O\\000\\377\\n"', ['pass']],
    ['printf "A\\001\\n"', ['pass']],
    ['printf "Eno code\\n"', ['451 no code']],
    ['printf "E550 without an end"', ['550 without an end']],
    ['printf "E550-many\\n"', ['550 many']],
    ['printf "\\n\\n\\nHno field\\nH: x\\n"', ['pass']],
    [`printf "E550 %s\\n" "$(head -c 900 /dev/zero | tr '\\0' x)"`, [`550 ${'x'.repeat(506)}`]],
  ]
  for (const [body, expected] of perLine) {
    const outcome = await session(mail(`:${body}`)).mail('a@example.com')
    assert.deepEqual(said(outcome), expected, body)
    assert.deepEqual(outcome.headers, [], body)
  }
  const random = await session(mail(':head -c 60000 /dev/urandom | tr -d "\\n"')).mail('a@example.com')
  assert.ok(random.verdict.kind !== 'skip-own-checks' && random.verdict.kind !== 'off')
})

test('a plug-in is read while it runs: nobody waits for one that has decided', async () => {
  const started = performance.now()
  const outcome = await session(mail(':echo E550 at once; sleep 20')).mail('a@example.com')
  assert.deepEqual(said(outcome), ['550 at once'])
  assert.ok(performance.now() - started < 10_000)
})

test('many sessions at once, one of them hanging', async () => {
  const hanging = session(mail(':sleep 30'), {}, 1500).mail('a@example.com')
  const others = await Promise.all(
    Array.from({ length: 80 }, (_, n) => session(mail(`:echo E550 ${n}`)).mail('a@example.com')),
  )
  assert.deepEqual(
    others.map(said).flat(),
    others.map((_, n) => `550 ${n}`),
  )
  assert.deepEqual(said(await hanging), ['451 qmail-spp failure: :sleep 30: timed out (#4.3.0)'])
})

test('standard error is logged line by line, printable and limited', async () => {
  sh('talker', 'printf "one\\001\\ntwo" >&2; i=0; while [ $i -lt 100 ]; do echo $i >&2; i=$((i+1)); done')
  await session(mail('bin/talker')).mail('a@example.com')
  await exec.logged('exec: talker: says more, which is not logged\n')
  assert.match(exec.log, /exec: talker: one\?\nexec: talker: two0\n/)
  assert.doesNotMatch(exec.log, /talker: 99/)
})

test('NOSPP switches plug-ins off; too large an environment is a failure', async () => {
  assert.deepEqual(said(await session(mail(':echo E550 no'), { NOSPP: '' }).mail('')), ['pass'])
  const large = await session(mail(':echo E550 no'), { LARGE: 'x'.repeat(70_000) }).mail('')
  assert.deepEqual(said(large), ["451 qmail-spp failure: :echo E550 no: can't execute (#4.3.0)"])
})

test('Perl plug-ins', { skip: skipWithoutInterpreter('perl') }, async () => {
  exec.program(
    'filter.pl',
    `#!/usr/bin/env perl
use strict; $| = 1;
print "SSEEN=$ENV{SMTPHELOHOST}\\n";
print "HX-Perl: $ENV{SMTPMAILFROM}\\n";
if ($ENV{SMTPMAILFROM} =~ /^bad/) { print "E553 perl says no (#5.7.1)\\n"; print "x" x 100000; }
die "broken" if $ENV{SMTPMAILFROM} =~ /^die/;
`,
  )
  const spp = session(mail('bin/filter.pl'))
  await spp.helo('h.example')
  assert.deepEqual(said(await spp.mail('bad@example.com')), ['553 perl says no (#5.7.1)'])
  assert.deepEqual(said(await spp.mail('good@example.com')), ['pass'])
  assert.deepEqual(spp.headers, ['X-Perl: good@example.com'])
  assert.equal(spp.environment().get('SEEN'), 'h.example')
  assert.deepEqual(said(await spp.mail('die@example.com')), ['pass'], 'an exit code of 255 is no crash')
})

test('Python plug-ins', { skip: skipWithoutInterpreter('python3') }, async () => {
  exec.program(
    'count.py',
    `#!/usr/bin/env python3
import os, sys
n = int(os.environ["SMTPRCPTCOUNTALL"])
if n > 1: print("E452 one at a time (#4.5.3)")
else: print("C" + os.environ["SMTPRCPTTO"].lower())
`,
  )
  exec.program('abort.py', '#!/usr/bin/env python3\nimport os\nprint("A")\nos.abort()\n')
  const spp = session(['[rcpt]', 'bin/count.py', '[data]', 'bin/abort.py'])
  await spp.mail('a@example.com')
  assert.equal((await spp.rcpt('JOE@Example.org', true, first)).address, 'joe@example.org')
  assert.deepEqual(said(await spp.rcpt('x@example.org', true, { accepted: 1, asked: 2 })), [
    '452 one at a time (#4.5.3)',
  ])
  assert.deepEqual(said(await spp.data()), ['451 qmail-spp failure: bin/abort.py: child crashed (#4.3.0)'])
})

test('our own versions run in process, by the last part of their path', async () => {
  const own: BuiltIn = (environment) =>
    Promise.resolve([{ kind: 'refuse', reply: { code: 550, text: environment.get('SMTPMAILFROM') ?? '' } }])
  const tools = {
    executor: exec.client,
    builtIn: (name: string) => (name === 'qmail-spp-spf' ? own : undefined),
  }
  const plugIns = parsePlugIns(['[mail]', '/usr/pkg/bin/qmail-spp-spf'])
  const spp = new SppSession(plugIns, connection, tools)
  assert.deepEqual(said(await spp.mail('a@example.com')), ['550 a@example.com'])
})
