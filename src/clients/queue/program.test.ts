import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Outcome } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import { realClock } from '../../system/clock.ts'
import { ProgramEnqueuer } from './program.ts'
import { handOn } from './enqueuer.ts'

const home = mkdtempSync(join(tmpdir(), 'quaver-program-'))
after(() => rmSync(home, { recursive: true }))

const envelope = { sender: 'a@b', recipients: ['c@d', 'e@f'] }
const small = Buffer.from('hello\n')

function script(name: string, body: string): string {
  const path = join(home, name)
  writeFileSync(path, `#!/bin/sh\n${body}\n`)
  chmodSync(path, 0o755)
  return path
}

function enqueuer(program: string, env: Record<string, string> = {}, limitMilliseconds = 20_000): ProgramEnqueuer {
  return new ProgramEnqueuer(program, home, env, realClock, limitMilliseconds)
}

function give(to: ProgramEnqueuer, body: Buffer, head = ''): Promise<Outcome<number>> {
  return handOn(to.open(envelope, noParams), head, [body])
}

test('message on 0, envelope on 1, cwd is the home, the environment is passed, the number is the pid', async () => {
  script(
    'record',
    'cat > got.message; cat <&1 > got.envelope; pwd > got.cwd; echo "$TCPREMOTEIP" > got.env; echo $$ > got.pid',
  )
  const outcome = await give(enqueuer('record', { TCPREMOTEIP: '192.0.2.9' }), small, 'X-Head: 1\n')
  assert.deepEqual(outcome, { done: true, value: Number(readFileSync(join(home, 'got.pid'), 'utf8')) })
  assert.equal(readFileSync(join(home, 'got.message'), 'latin1'), 'X-Head: 1\nhello\n')
  assert.equal(readFileSync(join(home, 'got.envelope'), 'latin1'), 'Fa@b\0Tc@d\0Te@f\0\0')
  assert.equal(readFileSync(join(home, 'got.cwd'), 'utf8').trim(), home)
  assert.equal(readFileSync(join(home, 'got.env'), 'utf8'), '192.0.2.9\n')
})

test('content larger than any socket buffer arrives whole', async () => {
  script('count', 'n=$(wc -c); cat <&1 >/dev/null; test "$n" -eq 3000000 || exit 81')
  const sink = enqueuer('count').open(envelope, noParams)
  for (let n = 0; n < 30; n++) await sink.write(Buffer.alloc(100_000, 'x'))
  assert.equal((await sink.close('', noParams)).done, true)
})

test('custom errors need code 82 and three bytes', async () => {
  const failure = async (body: string): Promise<string> => {
    const outcome = await give(enqueuer(script('custom', `cat >/dev/null; cat <&1 >/dev/null; ${body}`)), small)
    return outcome.done ? 'done' : `${outcome.failure.class} ${outcome.failure.peerText}`
  }
  assert.equal(await failure('printf "Dfoo bar" >&6; exit 82'), '5 foo bar')
  assert.equal(await failure('printf "Zbaz" >&6; exit 82'), '4 baz')
  assert.equal(await failure('printf "Dvirus found" >&4; exit 82'), '5 virus found', 'simscan’s descriptor')
  assert.equal(await failure('printf "Dsix" >&6; printf "Zfour" >&4; exit 82'), '5 six')
  assert.equal(await failure('printf "Dx" >&6; exit 82'), '4 qq temporary problem (#4.3.0)')
  assert.equal(await failure('printf "Dfoo bar" >&6; exit 31'), '5 mail server permanently rejected message (#5.3.0)')
  assert.equal(await failure('printf "Da\\r\\n250 ok" >&6; exit 82'), '5 a??250 ok')
  assert.equal(await failure('printf "D%0999d" 1 >&6; exit 82'), `5 ${'0'.repeat(254)}`)
})

test('a program that is not there, or not named, or without a home', async () => {
  const text = async (program: string, where = home): Promise<string> => {
    const outcome = await give(new ProgramEnqueuer(program, where, {}, realClock), small)
    return outcome.done ? 'done' : outcome.failure.peerText
  }
  assert.equal(await text(''), 'unable to exec qq (#4.3.0)')
  assert.equal(await text('absent'), 'unable to exec qq (#4.3.0)')
  // `true` is in every PATH, but PATH is not searched.
  assert.equal(await text('true'), 'unable to exec qq (#4.3.0)')
  assert.equal(await text('/bin/true', join(home, 'no-such-home')), 'qq trouble in home directory (#4.3.0)')
})

test('death by signal, unread content and a program that never ends', async () => {
  const text = async (body: string, limit?: number): Promise<string> => {
    const content = Buffer.alloc(1_000_000)
    const outcome = await give(enqueuer(script('bad', body), {}, limit), content)
    return outcome.done ? 'done' : outcome.failure.peerText
  }
  assert.equal(await text('kill -9 $$'), 'qq crashed (#4.3.0)')
  assert.equal(await text('exit 0'), 'qq read error (#4.3.0)')
  assert.equal(await text('cat >/dev/null; exec sleep 5', 200), 'qq timeout (#4.3.0)')
  assert.equal(await text('sleep 5', 200), 'qq timeout (#4.3.0)', 'a grandchild holds descriptor 6 open')
  assert.equal(await text('exec sleep 5', 200), 'qq crashed (#4.3.0)', 'killed because it would not read')
})

test('the program is not started for a message that is abandoned', async () => {
  script('abandoned', 'touch abandoned.seen')
  const sink = enqueuer('abandoned').open(envelope, noParams)
  await sink.write(Buffer.alloc(100_000))
  sink.abandon()
  assert.equal((await give(enqueuer(script('later', 'cat >/dev/null; cat <&1 >/dev/null')), small)).done, true)
  assert.equal(existsSync(join(home, 'abandoned.seen')), false)
})
