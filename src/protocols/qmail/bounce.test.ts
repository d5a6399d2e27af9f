import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bounceParagraph, bounceParagraphs, type BounceSettings, composeBounce } from './bounce.ts'
import { bounceRecipient, isVerp, senderFor } from './verp.ts'

const settings: BounceSettings = {
  bouncefrom: 'MAILER-DAEMON',
  bouncehost: 'me.example',
  doublebounceto: 'postmaster',
  doublebouncehost: 'me.example',
}
const paragraph = bounceParagraph('x@y.example', 'Sorry. (#5.1.1)\n')

test('a paragraph holds no blank line, and ends in one', () => {
  assert.equal(paragraph, '<x@y.example>:\nSorry. (#5.1.1)\n\n')
  assert.equal(bounceParagraph('x', 'a\n\n\nb\n\n'), '<x>:\na\n//b\n\n\n')
  assert.equal(bounceParagraph('x', 'no newline'), '<x>:\nno newline\n\n')
  assert.equal(bounceParagraph('x', ''), '<x>:\n\n')
  assert.equal(bounceParagraph('a\nb', 'c\n'), '<a_b>:\nc\n\n')
})

test('a bounce has the texts of qmail-send, to the byte', () => {
  const bounce = composeBounce('a b@c.example', paragraph, 0, settings)
  assert.equal(bounce?.sender, '')
  assert.equal(bounce?.recipient, 'a b@c.example')
  assert.equal(
    bounce?.head,
    'Date: 1 Jan 1970 00:00:00 -0000\nFrom: MAILER-DAEMON@me.example\nTo: "a b"@c.example\n' +
      'Subject: failure notice\n\nHi. This is the qmail-send program at me.example.\n' +
      "I'm afraid I wasn't able to deliver your message to the following addresses.\n" +
      "This is a permanent error; I've given up. Sorry it didn't work out.\n\n" +
      '<x@y.example>:\nSorry. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\n' +
      'Return-Path: <"a b"@c.example>\n',
  )
})

test('a bounced bounce goes to doublebounceto from #@[]', () => {
  const bounce = composeBounce('', paragraph, 0, settings)
  assert.equal(bounce?.sender, '#@[]')
  assert.equal(bounce?.recipient, 'postmaster@me.example')
  assert.match(
    bounce?.head ?? '',
    /me\.example\.\nI tried to deliver a bounce message to this address, but the bounce bounced!\n\n<x@/,
  )
  assert.match(bounce?.head ?? '', /\n\n--- Below this line is the original bounce\.\n\nReturn-Path: <>\n$/)
})

test('a triple bounce is discarded', () => {
  assert.equal(composeBounce('#@[]', paragraph, 0, settings), undefined)
})

test('VERP names the recipient in the sender, and its bounces go to the plain sender', () => {
  assert.equal(senderFor('joe-@h.example-@[]', 'r@d.example'), 'joe-r=d.example@h.example')
  assert.equal(senderFor('joe@h.example', 'r@d.example'), 'joe@h.example')
  assert.equal(senderFor('-@[]', 'r@d.example'), '-@[]')
  assert.equal(senderFor('joe-@h.example-@[]', 'nodomain'), 'joe-@h.example-@[]')
  assert.equal(isVerp('#@[]'), false)
  assert.equal(bounceRecipient('owner-@host-@[]'), 'owner-@host')
  const bounce = composeBounce('owner-@host-@[]', paragraph, 0, settings)
  assert.equal(bounce?.recipient, 'owner-@host')
  assert.match(bounce.head, /\nReturn-Path: <owner-@host>\n$/)
})

test('a bounce with more failures than it may name says how many they are', () => {
  const failed = Array.from({ length: 5 }, (_, n) => ({ address: `r${n}@x`, report: 'no\n' }))
  assert.deepEqual(bounceParagraphs(failed, 1000).leftOut, 0)
  const { paragraphs, leftOut } = bounceParagraphs(failed, 30)
  assert.equal(paragraphs, '<r0@x>:\nno\n\n<r1@x>:\nno\n\n')
  assert.match(
    composeBounce('a@b', paragraphs, 0, settings, leftOut)?.head ?? '',
    /Sorry it didn't work out\.\nThere are 3 more of them than are listed here\.\n\n<r0@x>/,
  )
})
