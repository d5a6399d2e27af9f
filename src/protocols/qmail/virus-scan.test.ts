import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tlsHeader } from './tls-header.ts'
import { VirusScan } from './virus-scan.ts'

const signatures = ['UEsDB', 'TVqQAAMA']

/** In chunks of any size the answer is the same. */
function found(message: string): string | undefined {
  const bytes = Buffer.from(message, 'latin1')
  const answers = [1, 7, bytes.length].map((size) => {
    const scan = new VirusScan(signatures)
    for (let at = 0; at < bytes.length; at += size) scan.push(bytes.subarray(at, at + size))
    return scan.match()
  })
  assert.equal(new Set(answers).size, 1, `chunks differ: ${answers.join()}`)
  return answers[0]
}

const exe = 'TVqQAAMAAAAEAAAA//8AALgAAAA'
const part = (boundary: string, body: string): string => `--${boundary}\nContent-Transfer-Encoding: base64\n\n${body}\n`

test('the first line of every part', () => {
  assert.equal(found(`Subject: x\n\n${exe}\n`), 'TVqQAAMA')
  assert.equal(found(`Subject: x\n\n\n${exe}`), 'TVqQAAMA', 'after empty lines, without a last line end')
  assert.equal(found(`Subject: x\n\nhello\n${exe}\n`), undefined, 'not a later line')
  const mixed = 'Content-Type: multipart/mixed;\n\tboundary="b 1"\n\npreamble\n'
  assert.equal(found(mixed + part('b 1', 'text') + part('b 1', exe)), 'TVqQAAMA')
  assert.equal(found(mixed + part('b 2', exe)), undefined)
  assert.equal(found(`CONTENT-TYPE: multipart/mixed; Boundary=b; x=y\r\n\r\n--b\r\n\r\n${exe}\r\n`), 'TVqQAAMA')
})

test('multiparts in parts, messages in messages, bounces', () => {
  const inner = `Content-Type: multipart/alternative; boundary=inner\n\n${part('inner', 'x')}${part('inner', exe)}`
  assert.equal(found(`Content-Type: multipart/mixed; boundary=outer\n\n--outer\n${inner}--outer--\n`), 'TVqQAAMA')
  assert.equal(found(`Content-Type: message/rfc822\n\nSubject: inside\n\n${exe}\n`), 'TVqQAAMA')
  const bounce = 'Hi. This is the qmail-send program at x.\n\n--- Below this line is a copy of the message.\n\n'
  assert.equal(found(`Subject: failure notice\n\n${bounce}Return-Path: <a@b>\nSubject: x\n\n${exe}\n`), 'TVqQAAMA')
  const exim = 'x\n------ This is a copy of the message, including all the headers. ------\n\nSubject: x\n\n'
  assert.equal(found(`Subject: failed\n\n${exim}${exe}\n`), 'TVqQAAMA')
})

test('nothing is found where there is nothing, nor in odd content', () => {
  for (const text of ['', '\n', '\n\n\n', '--\n--\n', `${'x'.repeat(5000)}${exe}\n`, `Subject: ${exe}\n\nx\n`]) {
    assert.equal(found(text), undefined, JSON.stringify(text.slice(0, 20)))
  }
})

test('the field for TLS', () => {
  const of = (variables: Record<string, string>): string => tlsHeader(new Map(Object.entries(variables)), 0)
  const tls = { SSL_CIPHER: 'C', SSL_PROTOCOL: 'TLSv1.3' }
  const end = ' TLSv1.3 C); 1 Jan 1970 00:00:00 -0000\n'
  assert.equal(of(tls), `Received: (ucspitls${end}`)
  assert.equal(of({ ...tls, AUTHUP_USER: 'joe' }), `Received: (ucspitls acceptutils authup joe${end}`)
  assert.equal(of({ ...tls, AUTHUP_USER: 'j', FIXSMTPIOTLS: '1' }), `Received: (ucspitls acceptutils fixsmtpio${end}`)
  assert.equal(of({ SSL_CIPHER: 'C' }), '')
})
