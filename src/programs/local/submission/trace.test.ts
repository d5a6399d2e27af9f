import assert from 'node:assert/strict'
import { test } from 'node:test'
import { receivedFields } from './trace.ts'

const now = Date.UTC(2026, 10, 26, 9, 8, 7)
const tls = [
  ['SSL_PROTOCOL', 'TLSv1.3'],
  ['SSL_CIPHER', 'TLS_AES_128_GCM_SHA256'],
  ['TCPREMOTEIP', '2001:db8::7'],
] as const

test('one line says whose mail it is; a second one, on demand, from where', () => {
  const environment = new Map([...tls, ['AUTHUP_USER', 'anna@lab.example']])
  const line =
    'Received: (ucspitls acceptutils authup anna@lab.example TLSv1.3 TLS_AES_128_GCM_SHA256); 26 Nov 2026 09:08:07 -0000\n'
  assert.equal(receivedFields(environment, false, now), line)
  const second = 'Received: (ofmipd 2001:db8::7); 26 Nov 2026 09:08:07 -0000\n'
  assert.equal(receivedFields(environment, true, now), line + second)
})

test('an account cannot write more than its name', () => {
  const environment = new Map([...tls, ['AUTHUP_USER', 'a) x\\\r\nBcc: (\xe9']])
  assert.match(
    receivedFields(environment, false, now),
    /^Received: \(ucspitls acceptutils authup a\?\?x\?\?\?Bcc:\?\?\? TLS[^\n]*\n$/,
  )
})
