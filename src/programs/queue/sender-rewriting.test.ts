import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hmacSha1Base64 } from '../../system/digests.ts'
import type { Origin } from './acceptance.ts'
import { MessageReader } from './read-message.ts'
import { SenderRewriting } from './sender-rewriting.ts'

const travelled = Buffer.from('Received: from far.example\nSubject: x\n\nbody\n')
const written = Buffer.from('Subject: x\n\nReceived: no field\n')
const byUid: Origin = { invoked: 'by uid 1000', uid: 1000 }
const tables = {
  locals: new Set(['here.example']),
  virtualdomains: new Map([['virtual.example', 'v']]),
  percenthack: new Set<string>(),
  envnoathost: 'here.example',
}

function rewriting({ secrets = ['s3cret'], always = false } = {}): SenderRewriting {
  const form = { domain: 'srs.here.example', separator: '=', hashLength: 4, hashMin: 4, maxAgeDays: 21 }
  return new SenderRewriting({
    setting: () => ({
      form,
      keys: { secrets, digest: hmacSha1Base64 },
      always,
      acceptedHosts: () => ['backup.example', '.sub.example'],
    }),
    tables: () => tables,
    now: () => Date.UTC(2026, 11, 1),
  })
}

interface Sent {
  readonly sender?: string
  readonly recipients?: readonly string[]
  readonly head?: string
  readonly body?: Buffer
  readonly origin?: Origin
}

/** The sender that it gets, or the class of the refusal. */
function senderOf(given: Sent, by = rewriting()): string | number {
  const { sender = 'joe@far.example', recipients = ['r@other.example'], head = '', body = travelled } = given
  const setting = by.begin({ sender, recipients }, given.origin ?? byUid)
  if (setting === undefined) return sender
  const reader = new MessageReader(false)
  for (let at = 0; at < body.length; at += 7) reader.push(body.subarray(at, at + 7))
  const outcome = by.senderOf(sender, reader.finish(head), setting)
  return outcome.done ? outcome.value : outcome.failure.class
}

test('a forward to another host gets a sender of ours', () => {
  const wrapped = /^SRS0=[\w+/]{4}=JU=far\.example=joe@srs\.here\.example$/
  assert.match(String(senderOf({})), wrapped)
  assert.match(String(senderOf({ body: written, head: 'Delivered-To: me@here.example\n' })), wrapped)
  assert.match(String(senderOf({ recipients: ['a@here.example', 'r@other.example'] })), wrapped)
  assert.match(String(senderOf({ origin: { invoked: 'by alias', uid: 1 } })), wrapped)
})

test('whose sender needs none, or who is no forward, keeps it', () => {
  for (const sender of [
    '',
    '#@[]',
    'list-@here.example-@[]',
    'noathost',
    'me@Here.example',
    'me@virtual.example',
    'me@backup.example',
    'me@any.sub.example',
    'SRS0=aaaa=JU=far.example=joe@SRS.here.example',
  ])
    assert.equal(senderOf({ sender }), sender)
  const kept = 'joe@far.example'
  assert.equal(senderOf({ recipients: ['a@here.example', 'b@virtual.example'] }), kept)
  assert.equal(senderOf({ body: written }), kept)
  assert.equal(senderOf({ body: written, head: 'Received: (ucspitls x); now\n' }), kept)
  assert.equal(senderOf({ body: written, head: 'Delivered-To: mailing list x@here.example\n' }), kept)
  assert.equal(senderOf({ origin: { invoked: 'from network', uid: 1 } }), kept)
  assert.equal(senderOf({ origin: { invoked: 'for bounce', uid: 1 } }), kept)
})

test('srs_alwaysrewrite: senders of ours too, but not those that have none', () => {
  const always = rewriting({ always: true })
  assert.match(String(senderOf({ sender: 'me@here.example' }, always)), /^SRS0=/)
  for (const sender of ['', '#@[]', 'list-@here.example-@[]']) assert.equal(senderOf({ sender }, always), sender)
})

test('a bounce comes home; what is no bounce, and what was tampered with, does not', () => {
  const by = rewriting()
  const wrapped = String(senderOf({}))
  assert.deepEqual(by.home('', wrapped), { done: true, value: 'joe@far.example' })
  const said = (sender: string, recipient: string, asked = by): string | undefined => {
    const home = asked.home(sender, recipient)
    return home?.done === false ? home.failure.peerText : undefined
  }
  assert.equal(said('', wrapped.replace('joe', 'jim')), 'sorry, that SRS address is none of mine (#5.1.1)')
  assert.equal(said('', wrapped.replace('JU', 'AA')), 'sorry, that SRS address is none of mine (#5.1.1)')
  assert.equal(said('spam@x.example', wrapped), 'sorry, that address takes bounces only (#5.7.1)')
  assert.equal(by.home('', 'joe@srs.here.example'), undefined)
})

test('without a secret a forward waits, and so does a bounce', () => {
  const none = rewriting({ secrets: [] })
  assert.equal(senderOf({}, none), 4)
  assert.equal(senderOf({ body: written }, none), 'joe@far.example')
  const home = none.home('', String(senderOf({})))
  assert.ok(home?.done === false && home.failure.class === 4)
})
