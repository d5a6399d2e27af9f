import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { SyslogPipes } from './syslog-pipes.ts'

let directory = ''
let pipes: SyslogPipes | undefined
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quaver-syslog-'))
})
afterEach(() => {
  pipes?.close()
  rmSync(directory, { recursive: true })
})

/** A `logger` that writes what it is told, and its tag, to a file of that tag's last part. */
function open(script: string): SyslogPipes {
  writeFileSync(join(directory, 'logger'), `#!/bin/sh\ncd ${directory}\n${script}\n`, { mode: 0o755 })
  pipes = new SyslogPipes(realClock, `/nonexistent:${directory}`)
  return pipes
}

async function content(name: string, wanted: (text: string) => boolean): Promise<string> {
  const path = join(directory, name)
  for (let tries = 0; tries < 500; tries++) {
    const text = existsSync(path) ? readFileSync(path, 'latin1') : ''
    if (wanted(text)) return text
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`${name} never had what was wanted`)
}

test('one logger a tag, with qmail-run’s arguments', async () => {
  const opened = open('echo "$@" > "${4#nbqmail/}"\nwhile read -r line; do echo "$line" >> "${4#nbqmail/}"; done')
  assert.equal(opened.fdFor('queue'), opened.fdFor('lspawn'))
  assert.notEqual(opened.fdFor('queue'), opened.fdFor('smtpd'))
  writeSync(opened.fdFor('queue'), 'new msg 1\n')
  writeSync(opened.fdFor('lspawn'), 'lspawn: x\n')
  opened.open('smtpd')('status: 0/9')
  const send = await content('send', (text) => text.split('\n').length === 4)
  assert.equal(send, '-p mail.info -t nbqmail/send\nnew msg 1\nlspawn: x\n')
  assert.equal(await content('smtpd', (text) => text.endsWith('9\n')), '-p mail.info -t nbqmail/smtpd\nstatus: 0/9\n')
})

test('a logger that dies is started again, and loses nothing', async () => {
  const opened = open('echo run >> runs\nread -r line && echo "$line" >> lines')
  const fd = opened.fdFor('queue')
  writeSync(fd, 'first\n')
  await content('lines', (text) => text === 'first\n')
  writeSync(fd, 'second\n')
  await content('lines', (text) => text === 'first\nsecond\n')
})

test('a logger that does not read stops nobody', () => {
  const opened = open('exec sleep 3')
  const started = performance.now()
  const line = 'x'.repeat(4000)
  const log = opened.open('queue')
  for (let n = 0; n < 2000; n++) log(line)
  assert.ok(performance.now() - started < 10_000)
  assert.throws(() => writeSync(opened.fdFor('queue'), line.repeat(300)), /EAGAIN/)
})

test('no logger: a text that says what to do', () => {
  assert.throws(
    () => new SyslogPipes(realClock, '/nonexistent'),
    /no program 'logger' in PATH.*install it, or use stderr/,
  )
})
