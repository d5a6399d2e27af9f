import assert from 'node:assert/strict'
import { test } from 'node:test'
import { receivedField, tlsProtocol } from './received.ts'

const facts = {
  remoteHost: 'unknown',
  remoteIp: '192.0.2.9',
  helo: '',
  local: 'mx.example',
  protocol: 'SMTP',
  milliseconds: Date.UTC(2026, 10, 1, 9, 8, 7),
}

test('qmail’s form', () => {
  const tail = '\n  by mx.example with SMTP; 1 Nov 2026 09:08:07 -0000\n'
  assert.equal(receivedField(facts), `Received: from unknown (192.0.2.9)${tail}`)
  assert.equal(receivedField({ ...facts, helo: 'UNKNOWN' }), `Received: from unknown (192.0.2.9)${tail}`)
  const helo = 'a_b (x)\r\nEvil: [é]'
  assert.equal(receivedField({ ...facts, helo }), `Received: from unknown (HELO a?b??x???Evil:?[?]) (192.0.2.9)${tail}`)
  assert.equal(receivedField({ ...facts, remoteInfo: 'joe' }), `Received: from unknown (joe@192.0.2.9)${tail}`)
})

test('TLS', () => {
  const protocol = tlsProtocol('TLSv1.3', 'TLS_AES_256_GCM_SHA384')
  assert.match(receivedField({ ...facts, protocol }), / with ESMTPS \(TLSv1\.3 TLS_AES_256_GCM_SHA384 encrypted\); /)
})
