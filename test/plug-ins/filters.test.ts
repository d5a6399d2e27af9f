/** Filters written to qmail-qfilter's interface only, and programs named by QMAILQUEUE, run by the real exec process. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Outcome } from '../../src/base/outcome.ts'
import { unlimited } from '../../src/clients/queue/content-budget.ts'
import { handOn, type Enqueuer } from '../../src/clients/queue/enqueuer.ts'
import { enqueuerByExec, enqueuerForPlan, type FilterTools, planFilters } from '../../src/clients/queue/filter-chain.ts'
import { EnqueueClient } from '../../src/clients/queue/enqueue.ts'
import { socketPath } from '../../src/stores/home/layout.ts'
import { realClock } from '../../src/system/clock.ts'
import { connectPath } from '../../src/system/frame-connection.ts'
import { ExecProcess, queuedId, skipWithoutInterpreter } from '../kit/exec-process.ts'

const exec = new ExecProcess()
before(async () => {
  writeFileSync(join(exec.home.control, 'signatures'), 'TVqQAAMA\n')
  await exec.start()
})
after(() => exec.stop())

const envelope = { sender: 'joe@example.com', recipients: ['x@example.org', 'y@example.org'] }
const params = new Map([['BODY', '8BITMIME']])
const message = 'Received: (qmail)\nSubject: caf\xe9\n\nbody\n'
const queue = new EnqueueClient(() => connectPath(socketPath(exec.home, 'queue-network')), realClock)
after(() => queue.close())

const tools: FilterTools = {
  queue,
  programs: (order) =>
    enqueuerByExec({ connectExec: () => exec.connect(), clock: realClock, budget: unlimited }, order),
  clock: realClock,
  signatures: () => ['TVqQAAMA'],
  readFile(name) {
    try {
      return readFileSync(join(exec.home.path, name))
    } catch {
      return undefined
    }
  },
}

function enqueuer(filters: readonly string[], more: Readonly<Record<string, string>> = {}): Enqueuer {
  const environment = new Map([['TCPREMOTEIP', '192.0.2.7'], ...Object.entries(more)])
  return enqueuerForPlan(planFilters(environment, filters, 'smtpfilters', tools.readFile), environment, tools)
}

const sh = (name: string, body: string): string => exec.program(name, `#!/bin/sh\n${body}\n`)

async function submit(
  filters: readonly string[],
  content = message,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  exec.enqueued.length = 0
  return told(await handOn(enqueuer(filters, more).open(envelope, params), '', [Buffer.from(content, 'latin1')]))
}

function told(outcome: Outcome<number>): string {
  return outcome.done ? `queued ${outcome.value}` : `${outcome.failure.class} ${outcome.failure.peerText}`
}

test('0 goes on: content and envelope changed by one are what the next one gets', async () => {
  const header = sh('header', 'echo "X-Filter: $MSGSIZE $NUMRCPTS $QMAILUSER $QMAILHOST"; cat')
  const quiet = sh('quiet', 'cat > seen.message; cat <&3 > seen.envelope; printf "%s" "$QMAILRCPTS" > seen.rcpts')
  const rewrite = sh('rewrite', 'printf "Fother@example.net\\0Tz@example.org\\0\\0" >&4')
  const reader = sh('reader', 'echo "X-From: $QMAILUSER"; cat')
  assert.equal(await submit([header, quiet, rewrite, reader]), `queued ${queuedId}`)
  const [taken] = exec.enqueued
  const headed = `X-Filter: ${message.length} 2 joe example.com\n${message}`
  assert.equal(taken?.content, `X-From: other\n${headed}`)
  assert.deepEqual(taken?.envelope, { sender: 'other@example.net', recipients: ['z@example.org'] })
  assert.deepEqual(taken?.params, params)
  const seen = (name: string): string => readFileSync(join(exec.home.path, name), 'latin1')
  assert.equal(seen('seen.message'), headed)
  assert.equal(seen('seen.envelope'), 'Fjoe@example.com\0Tx@example.org\0Ty@example.org\0\0')
  assert.equal(seen('seen.rcpts'), 'x@example.org\ny@example.org\n')
})

test('the environment is the connection’s, without what is not for filters', async () => {
  const see = sh('see', 'env | sed -n "s/^\\([A-Z0-9_]*\\)=.*/\\1/p" | sort > seen.env; echo "$QMAILPPID" > seen.pid')
  await submit([see], message, { RELAYCLIENT: '', QMAILNAME: 'x', QMAILQUEUE: '/x/qmail-qfilter-queue' })
  assert.equal(exec.enqueued.length, 1, 'without QMAILQUEUEFILTERS there are no filters')
  await submit([see], message, { RELAYCLIENT: '', QMAILNAME: 'x' })
  const names = readFileSync(join(exec.home.path, 'seen.env'), 'latin1').trim().split('\n')
  assert.deepEqual(
    names.filter((name) => name !== 'PWD' && name !== '_'),
    [
      'ENVSIZE',
      'MSGSIZE',
      'NUMRCPTS',
      'PATH',
      'QMAILHOST',
      'QMAILPPID',
      'QMAILRCPTS',
      'QMAILUSER',
      'RELAYCLIENT',
      'TCPREMOTEIP',
    ],
  )
  assert.equal(readFileSync(join(exec.home.path, 'seen.pid'), 'latin1'), `${process.pid}\n`)
})

test('exits: 31, 99, 82 with descriptor 6, others, death, absence', async () => {
  const ends: readonly [string, string][] = [
    ['exit 31', '5 mail server permanently rejected message (#5.3.0)'],
    ['exit 71', '4 mail server temporarily rejected message (#4.3.0)'],
    ['exit 82', '4 qq temporary problem (#4.3.0)'],
    ['printf "Dno such thing (#5.7.1)" >&6; exit 82', '5 no such thing (#5.7.1)'],
    ['printf "Znot now" > /dev/fd/6; exit 82', '4 not now'],
    ['exit 20', '5 qq permanent problem (#5.3.0)'],
    ['exit 3', '4 qq temporary problem (#4.3.0)'],
    ['kill -9 $$', '4 qq crashed (#4.3.0)'],
    ['printf "Fno end" >&4', '4 qq internal bug (#4.3.0)'],
  ]
  const later = sh('later', 'echo ran >> later.out')
  for (const [body, expected] of ends) {
    assert.equal(await submit([sh('ending', body), later]), expected, body)
    assert.equal(exec.enqueued.length, 0, body)
  }
  assert.equal(await submit(['bin/absent']), '4 unable to exec qq (#4.3.0)')
  assert.match(await submit([sh('discard', 'exit 99'), later]), /^queued \d+$/)
  assert.equal(exec.enqueued.length, 0)
  assert.throws(() => readFileSync(join(exec.home.path, 'later.out')))
})

test('descriptor 5 and QQF_QMAILQUEUE name who takes the message in place of the queue', async () => {
  const own = sh('own-queue', 'cat > own.message; cat <&1 > own.envelope')
  assert.match(await submit([sh('namer', `printf "${own}" >&5`)]), /^queued \d+$/)
  assert.equal(exec.enqueued.length, 0)
  assert.equal(readFileSync(join(exec.home.path, 'own.message'), 'latin1'), message)
  const refuse = sh('refuse-queue', 'cat > /dev/null; exit 31')
  const refusal = '5 mail server permanently rejected message (#5.3.0)'
  assert.equal(await submit([sh('nothing', ':')], message, { QQF_QMAILQUEUE: refuse }), refusal)
})

test('QMAILQUEUE: any program, qmail-qfilter-queue in process, a list that is missing, an empty name', async () => {
  const own = sh('qq', 'cat > qq.message; cat <&1 > qq.envelope; printf "Dqq says no" >&6; exit 82')
  assert.equal(await submit(['bin/not-asked'], message, { QMAILQUEUE: own }), '5 qq says no')
  const older = sh('simscan', 'cat > /dev/null; printf "Dvirus" >&4; exit 82')
  assert.equal(await submit([], message, { QMAILQUEUE: older }), '5 virus')
  assert.equal(readFileSync(join(exec.home.path, 'qq.message'), 'latin1'), message)
  const discard = sh('discard-all', 'exit 99')
  writeFileSync(join(exec.home.control, 'myfilters'), `# mine\n${discard}\n`)
  const named = { QMAILQUEUE: 'bin/qmail-qfilter-queue', QMAILQUEUEFILTERS: 'control/myfilters' }
  assert.match(await submit([], message, named), /^queued \d+$/)
  assert.equal(exec.enqueued.length, 0)
  const missing = { ...named, QMAILQUEUEFILTERS: 'control/missing' }
  assert.equal(await submit([], message, missing), '4 qq unable to read configuration (#4.3.0)')
  assert.equal(await submit([], message, { QMAILQUEUE: '' }), '4 unable to exec qq (#4.3.0)')
})

test('a large message streams through, and each filter reads it from its start', async () => {
  const large = `Subject: large\n\n${'0123456789abcde\n'.repeat(200_000)}`
  const count = sh('count', 'cat | wc -c >> count.out')
  exec.enqueued.length = 0
  const sink = enqueuer([count, count, sh('tail', 'cat; echo end')]).open(envelope, params)
  const bytes = Buffer.from(large, 'latin1')
  for (let at = 0; at < bytes.length; at += 100_000) await sink.write(bytes.subarray(at, at + 100_000))
  assert.equal(told(await sink.close('X-Head: 1\n', new Map([['QUARANTINE', 'x']]))), `queued ${queuedId}`)
  assert.equal(exec.enqueued[0]?.content, `X-Head: 1\n${large}end\n`)
  // What was found out behind the last byte goes with it.
  assert.deepEqual(exec.enqueued[0]?.params, new Map([...params, ['QUARANTINE', 'x']]))
  const counted = readFileSync(join(exec.home.path, 'count.out'), 'latin1').trim().split(/\s+/)
  assert.deepEqual(counted, Array(2).fill(String(large.length + 'X-Head: 1\n'.length)))
})

test('what is abandoned before its end is filtered by nobody', async () => {
  const touch = sh('touch', 'echo ran > touched.out')
  const sink = enqueuer([touch]).open(envelope, params)
  await sink.write(Buffer.from(message.repeat(10_000), 'latin1'))
  sink.abandon()
  assert.equal(await submit([sh('fine', ':')]), `queued ${queuedId}`)
  assert.throws(() => readFileSync(join(exec.home.path, 'touched.out')))
})

test('our own filters, before, between and after others', async () => {
  const add = '/usr/pkg/bin/qmail-qfilter-addtlsheader'
  const scan = '/usr/pkg/bin/qmail-qfilter-viruscan'
  const tls = { SSL_CIPHER: 'TLS_AES', SSL_PROTOCOL: 'TLSv1.3' }
  const field = /Received: \(ucspitls TLSv1\.3 TLS_AES\); \d+ \w{3} \d{4} \d\d:\d\d:\d\d -0000\n/y
  assert.equal(await submit([add, scan], message, tls), `queued ${queuedId}`)
  assert.match(exec.enqueued[0]?.content ?? '', field)
  assert.ok(exec.enqueued[0]?.content.endsWith(message))
  assert.equal(await submit([add], message), `queued ${queuedId}`)
  assert.equal(exec.enqueued[0]?.content, message, 'without TLS nothing is added')

  const header = sh('own-header', 'echo X-Own: 1; cat')
  assert.equal(await submit([header, add, header], message, tls), `queued ${queuedId}`)
  assert.match(exec.enqueued[0]?.content ?? '', /^X-Own: 1\nReceived: \(ucspitls [^\n]+\nX-Own: 1\nReceived: \(qmail\)/)

  const infected = 'Content-Type: multipart/mixed; boundary=b\n\n--b\n\nTVqQAAMAAAAE\n--b--\n'
  const refusal = "5 we don't accept email with such content (#5.3.4)"
  assert.equal(await submit([scan], infected), refusal)
  assert.equal(await submit([header, scan], infected), refusal)
  assert.equal(exec.enqueued.length, 0)
})

test('without exec mail that needs it is deferred', async () => {
  const connectExec = () => connectPath(join(exec.home.path, 'no-such.sock'))
  const gone: FilterTools = {
    ...tools,
    programs: (order) => enqueuerByExec({ connectExec, clock: realClock, budget: unlimited }, order),
  }
  const environment = new Map<string, string>()
  const plan = planFilters(environment, ['bin/some'], 'smtpfilters', tools.readFile)
  const sink = enqueuerForPlan(plan, environment, gone).open(envelope, params)
  const outcome = await handOn(sink, '', [Buffer.from(message)])
  assert.equal(told(outcome), '4 unable to exec qq (#4.3.0)')
})

test('a filter in Perl', { skip: skipWithoutInterpreter('perl') }, async () => {
  const filter = exec.program(
    'filter.pl',
    `#!/usr/bin/env perl
use strict;
open(my $err, ">&=", 6) or exit 71;
local $/; my $mail = <STDIN>;
if ($mail =~ /^Subject: spam/m) { print $err "Dspam is not wanted (#5.7.1)"; close $err; exit 82; }
seek(STDIN, 0, 0) or exit 71;
print "X-Perl: ", length($mail), "\\n", <STDIN>;
`,
  )
  assert.equal(await submit([filter]), `queued ${queuedId}`)
  assert.equal(exec.enqueued[0]?.content, `X-Perl: ${message.length}\n${message}`)
  assert.equal(await submit([filter], 'Subject: spam\n\n'), '5 spam is not wanted (#5.7.1)')
})

test('a filter in Python', { skip: skipWithoutInterpreter('python3') }, async () => {
  const filter = exec.program(
    'filter.py',
    `#!/usr/bin/env python3
import os, sys
data = os.read(0, 1 << 20)
sender, *rest = os.read(3, 1 << 20).split(b"\\0")
os.write(1, b"X-Python: " + sender[1:] + b"\\n" + data)
os.write(4, b"F" + sender[1:] + b"\\0Tonly@example.org\\0\\0")
`,
  )
  assert.equal(await submit([filter]), `queued ${queuedId}`)
  assert.equal(exec.enqueued[0]?.content, `X-Python: joe@example.com\n${message}`)
  assert.deepEqual(exec.enqueued[0]?.envelope.recipients, ['only@example.org'])
})

test('a QMAILQUEUE program has its environment byte for byte and no more, the log on 2, and need not be waited for', async () => {
  const body = [
    'cat > queued.message; cat <&1 > queued.envelope',
    'env | sed -n "s/^\\([A-Za-z0-9_]*\\)=.*/\\1/p" | grep -v "^_$\\|^PWD$\\|^SHLVL$\\|^OLDPWD$" | sort | tr "\\n" " " > queued.env',
    'printf "%s" "$MARK" > queued.mark',
    'echo said on two >&2',
    'sleep 20 &',
  ]
  const own = sh('own', body.join('\n'))
  const began = performance.now()
  assert.match(await submit([], message, { QMAILQUEUE: own, MARK: 'caf\xe9' }), /^queued \d+$/)
  assert.ok(performance.now() - began < 15_000)
  const seen = (name: string): string => readFileSync(join(exec.home.path, `queued.${name}`), 'latin1')
  assert.equal(seen('message'), message)
  assert.equal(seen('envelope'), 'Fjoe@example.com\0Tx@example.org\0Ty@example.org\0\0')
  assert.equal(seen('env'), 'MARK PATH QMAILPPID TCPREMOTEIP ')
  assert.equal(seen('mark'), 'caf\xe9')
  await exec.logged('said on two')
  assert.equal(exec.enqueued.length, 0)
})
