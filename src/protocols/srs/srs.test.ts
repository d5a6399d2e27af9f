import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hmacSha1Base64 } from '../../system/digests.ts'
import { isSrsAddress, type SrsForm, unwrap, wrap } from './srs.ts'

const form: SrsForm = { domain: 'srs.example.org', separator: '=', hashLength: 4, hashMin: 4, maxAgeDays: 21 }
const keys = { secrets: ['tops3cret'], digest: hmacSha1Base64 }
const day = 86_400_000
/** Its stamp is JU. */
const now = Date.UTC(2026, 11, 1, 12)

const long: SrsForm = { ...form, separator: '+', hashLength: 10 }

test('an address is what Mail::SRS makes of it with the same secret on the same day', () => {
  for (const [given, made, as] of [
    ['joe@Example.COM', 'SRS0=JVx6=JU=Example.COM=joe@srs.example.org', form],
    ['a=b=c@x.example', 'SRS0+0slK2WvRLh=JU=x.example=a=b=c@srs.example.org', long],
    [
      'SRS0=aaaa=bb=Example.com=joe@srs.example.org',
      'SRS1=2P+f=srs.example.org==aaaa=bb=Example.com=joe@srs.two.example',
      { ...form, domain: 'srs.two.example' },
    ],
    [
      'SRS0+aaaa=bb=Example.com=joe@srs.two.example',
      'SRS1+gyl2XYSG7/=srs.two.example=+aaaa=bb=Example.com=joe@srs.example.org',
      long,
    ],
  ] as const) {
    assert.equal(wrap(given, as, keys, now), made)
  }
})

test('what was wrapped comes home, in whatever case, with a secret that is not the first any more', () => {
  const later = { ...keys, secrets: ['new', 'tops3cret'] }
  for (const sender of [
    'joe@Example.COM',
    'a=b=c@x.example',
    'a@b@c.example',
    'SRS0+aaaa=bb=Example.com=joe@srs.two.example',
  ]) {
    const wrapped = wrap(sender, form, keys, now) ?? ''
    assert.ok(isSrsAddress(wrapped, form.domain), wrapped)
    assert.deepEqual(unwrap(wrapped, form, later, now), { kind: 'home', address: sender })
    const home = unwrap(wrapped.toLowerCase(), form, keys, now)
    assert.equal(home.kind === 'home' ? home.address.toLowerCase() : home.kind, sender.toLowerCase())
  }
  // Of an address that was rewritten twice, bounces go to the host that did it first.
  const twice = wrap('SRS1=9999=one.example==aaaa=bb=far.example=joe@two.example', form, keys, now) ?? ''
  assert.deepEqual(unwrap(twice, form, keys, now), {
    kind: 'home',
    address: 'SRS0=aaaa=bb=far.example=joe@one.example',
  })
})

test('a changed address is forged, and an old one has expired', () => {
  const wrapped = wrap('joe@far.example', form, keys, now) ?? ''
  for (const [part, other] of [
    ['joe', 'jim'],
    ['far', 'fat'],
    ['JU', 'JV'],
    [wrapped.slice(5, 9), 'AAAA'],
    [wrapped.slice(5, 9), wrapped.slice(5, 8)],
    ['SRS0', 'SRS1'],
    ['=joe', ''],
    ['=joe', '='],
  ] as const) {
    assert.deepEqual(unwrap(wrapped.replace(part, other), form, keys, now), { kind: 'forged' }, `${part} ${other}`)
  }
  assert.deepEqual(unwrap(wrapped, form, { ...keys, secrets: ['another'] }, now), { kind: 'forged' })
  for (const empty of ['SRS0=@srs.example.org', 'SRS0===@srs.example.org', 'SRS1=a==b@srs.example.org'])
    assert.deepEqual(unwrap(empty, form, keys, now), { kind: 'forged' }, empty)
  assert.equal(unwrap(wrapped, form, keys, now + 21 * day).kind, 'home')
  assert.equal(unwrap(wrapped, form, keys, now + 22 * day).kind, 'expired')
  // A clock that was wrong when it was made.
  assert.equal(unwrap(wrapped, form, keys, now - day).kind, 'expired')
})

test('only SRS0 and SRS1 with a separator, in our domain, are SRS addresses', () => {
  for (const address of ['SRS0=x@srs.example.org', 'srs1-x@SRS.Example.ORG', 'Srs0+x@srs.example.org'])
    assert.ok(isSrsAddress(address, form.domain), address)
  for (const address of [
    'SRS0=x@example.org',
    'SRS2=x@srs.example.org',
    'SRS0x@srs.example.org',
    'joe@srs.example.org',
    'SRS0=x',
  ])
    assert.ok(!isSrsAddress(address, form.domain), address)
})

test('a sender that could not come back is not wrapped', () => {
  for (const sender of ['', 'joe', '@host', 'joe@', 'joe@a=b.example', '#@[]', 'joe@[192.0.2.1]'])
    assert.equal(wrap(sender, form, keys, now), undefined, sender)
})
