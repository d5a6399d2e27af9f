import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lineFormatter, syslogTag } from './log-form.ts'

test('each form of a line', () => {
  assert.equal(lineFormatter(undefined, 'smtpd')('end 1 status 0'), 'smtpd: end 1 status 0\n')
  assert.equal(lineFormatter('stderr', 'queue')('new msg 1'), 'queue: new msg 1\n')
  assert.match(lineFormatter('stamp', 'smtpd')('x'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z smtpd: x\n$/)
  assert.equal(lineFormatter('syslog', 'queue')('new msg 1'), 'new msg 1\n')
  assert.equal(lineFormatter('syslog', 'remote')('warning: x'), 'remote: warning: x\n')
  assert.equal(lineFormatter('journal', 'smtpd')('x'), '<6>nbqmail/smtpd: x\n')
  assert.equal(lineFormatter('journal', 'lspawn')('warning: x'), '<4>nbqmail/send: lspawn: warning: x\n')
  assert.equal(lineFormatter('journal', 'smtpd')('alert: x'), '<1>nbqmail/smtpd: alert: x\n')
})

test('JSON: one line of ASCII, whatever the bytes', () => {
  const line = lineFormatter('json', 'smtpd')('a "b"\n\x00\xff\\')
  assert.match(line, /^[ -~]+\n$/)
  const { time, ...rest } = JSON.parse(line) as Record<string, string>
  assert.ok(!Number.isNaN(Date.parse(time ?? '')))
  assert.deepEqual(rest, { tag: 'nbqmail/smtpd', program: 'smtpd', message: 'a "b"\n\x00\xff\\' })
})

test('tags are qmail-run’s', () => {
  const programs = ['queue', 'lspawn', 'local', 'remote', 'smtpd', 'ofmipd', 'pop3d', 'qread']
  const send = 'nbqmail/send'
  const own = ['nbqmail/smtpd', 'nbqmail/ofmipd', 'nbqmail/pop3d', 'nbqmail/qread']
  assert.deepEqual(programs.map(syslogTag), [send, send, send, send, ...own])
})
