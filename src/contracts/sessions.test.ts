import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { decodeToLocal, encodeToLocal } from './assign.ts'
import type { Frame } from './frame.ts'
import {
  decodeOpenReply,
  decodeLoginRequest,
  decodeSessionStart,
  decodeTicketReply,
  decodeTicketRequest,
  encodeLoginRequest,
  encodeOpenReply,
  encodeSessionStart,
  encodeTicketRequest,
  type SessionStart,
} from './sessions.ts'

const secret = 's'.repeat(32)
const peer = { service: 'pop3', remoteIp: '2001:db8::1', remotePort: 65535 } as const
const facts = {
  remoteHost: 'client.example',
  localIp: '192.0.2.1',
  localPort: 587,
  tlsProtocol: 'TLSv1.3',
  tlsCipher: 'TLS_AES_256_GCM_SHA384',
  helo: 'a client\twith æ',
  extended: true,
}

function frameOf(bytes: Buffer): Frame {
  return { type: bytes[4] ?? 0, payload: bytes.subarray(5) }
}

describe('the sessions contract', () => {
  it('says what was said', () => {
    const open = { kind: 'open', ref: 4_294_967_295, ticket: secret, peer } as const
    assert.deepEqual(decodeLoginRequest(frameOf(encodeLoginRequest(open))), open)
    // A home may have any name.
    const opened = {
      kind: 'opened',
      ref: 7,
      path: '/home/é/Téléchargements 日本/run/local/0.1.sock',
      token: secret,
    } as const
    assert.deepEqual(decodeOpenReply(frameOf(encodeOpenReply(opened))), opened)
    const closing = { kind: 'closing', service: 'pop3' } as const
    assert.deepEqual(decodeLoginRequest(frameOf(encodeLoginRequest(closing))), closing)
    const close = { kind: 'close', service: 'pop3' } as const
    assert.deepEqual(decodeToLocal(frameOf(encodeToLocal(close))), close)
    const check = { kind: 'check', ref: 1, ticket: secret, name: 'joe', password: 'ø', peer } as const
    assert.deepEqual(decodeTicketRequest(frameOf(encodeTicketRequest(check))), check)
    const revoke = { kind: 'revoke', account: 'joe@lab.test' } as const
    assert.deepEqual(decodeTicketRequest(frameOf(encodeTicketRequest(revoke))), revoke)
    assert.deepEqual(decodeToLocal(frameOf(encodeToLocal(revoke))), revoke)
    const start: SessionStart = { token: secret, facts }
    assert.deepEqual(decodeSessionStart(frameOf(encodeSessionStart(start))), start)
  })

  it('a ticket of another length is none', () => {
    for (const ticket of ['', 's'.repeat(31), 's'.repeat(33)]) {
      assert.throws(() => decodeLoginRequest(frameOf(encodeLoginRequest({ kind: 'open', ref: 1, ticket, peer }))))
      assert.throws(() => decodeSessionStart(frameOf(encodeSessionStart({ token: ticket, facts }))))
      const admit = { kind: 'admit', ref: 1, ticket, account: 'a', peer } as const
      assert.throws(() => decodeTicketRequest(frameOf(encodeTicketRequest(admit))))
    }
  })

  it('no text of a front begins another line, of a header or a log', () => {
    for (const bad of ['\r\nBcc: x', 'a\nb', 'a\0b', 'a\x7fb']) {
      for (const name of ['localIp', 'tlsProtocol', 'tlsCipher', 'helo'] as const)
        assert.throws(
          () => decodeSessionStart(frameOf(encodeSessionStart({ token: secret, facts: { ...facts, [name]: bad } }))),
          /control character/,
        )
      const open = { kind: 'open', ref: 1, ticket: secret, peer: { ...peer, remoteIp: bad } } as const
      assert.throws(() => decodeLoginRequest(frameOf(encodeLoginRequest(open))), /control character/)
    }
  })

  it('whatever bytes come, a decoder answers or throws ContractError', () => {
    const decoders = [decodeLoginRequest, decodeOpenReply, decodeSessionStart, decodeTicketReply, decodeTicketRequest]
    fc.assert(
      fc.property(fc.integer({ min: 170, max: 195 }), fc.uint8Array({ maxLength: 200 }), (type, bytes) => {
        for (const decode of decoders) {
          try {
            decode({ type, payload: Buffer.from(bytes) })
          } catch (error) {
            assert.equal(error instanceof Error && error.name, 'ContractError')
          }
        }
      }),
    )
  })
})
