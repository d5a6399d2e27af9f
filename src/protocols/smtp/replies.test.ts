import assert from 'node:assert/strict'
import { test } from 'node:test'
import { permanent, plainFailure } from '../../base/outcome.ts'
import { accepted, formatReply, refusal, replies, type Reply } from './replies.ts'

test('the enhanced code comes from the text, and only after EHLO', () => {
  assert.equal(formatReply(replies.mailFirst, false), '503 MAIL first (#5.5.1)\r\n')
  assert.equal(formatReply(replies.mailFirst, true), '503 5.5.1 MAIL first (#5.5.1)\r\n')
  assert.equal(formatReply(accepted(1, 2), true), '250 2.0.0 ok 1 qp 2\r\n')
  assert.equal(formatReply(accepted(1, 2), false), '250 ok 1 qp 2\r\n')
  assert.equal(formatReply(replies.goAhead, true), '354 go ahead\r\n')
})

test('a failure is 554 or 451, and a code of the other class is not repeated in front', () => {
  assert.equal(formatReply(refusal(permanent('7.1', 'no')), true), '554 5.7.1 no (#5.7.1)\r\n')
  assert.equal(formatReply(refusal(plainFailure(4, '3.0', 'no (#5.7.1)')), true), '451 4.3.0 no (#5.7.1)\r\n')
  assert.equal(formatReply(refusal(plainFailure(5, '3.0', 'foo bar')), true), '554 5.3.0 foo bar\r\n')
})

test('every reply is one line of ASCII and has an enhanced code of its class', () => {
  for (const [name, reply] of Object.entries<Reply>(replies)) {
    const line = formatReply(reply, true)
    assert.match(line, /^[2-5]\d\d [ -~]+\r\n$/, name)
    if (reply.code !== 354)
      assert.match(line, new RegExp(`^${reply.code} ${String(reply.code)[0]}\\.\\d+\\.\\d+ `), name)
  }
})
