import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readLines } from './qread.ts'

test('a message and its recipients, as qmail-qread writes them', () => {
  const message = { id: 4711, bytes: 300, sender: 'a b@x.test', bornMs: Date.UTC(2026, 10, 1, 9, 8, 7) }
  const recipients = [
    { channel: 'local', address: 'joe\n@x.test', done: true },
    { channel: 'remote', address: 'jane@y.test', done: false },
  ] as const
  assert.equal(
    readLines({ ...message, bouncing: false, recipients }),
    '1 Nov 2026 09:08:07 GMT  #4711  300  <a_b@x.test> \n  done\tlocal\tjoe_@x.test\n\tremote\tjane@y.test\n',
  )
  assert.equal(
    readLines({ ...message, sender: '', bouncing: true, recipients: [] }),
    '1 Nov 2026 09:08:07 GMT  #4711  300  <>  bouncing\n',
  )
})
