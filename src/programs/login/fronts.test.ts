import assert from 'node:assert/strict'
import { it } from 'node:test'
import { replies } from '../../protocols/smtp/replies.ts'
import { fronts } from './fronts.ts'

it('the listener refuses in the words of the protocol', () => {
  const { outOfTurn, shuttingDown } = replies
  assert.equal(fronts.submission.say(outOfTurn), '554 smtp protocol violation (#5.5.1)\r\n')
  assert.equal(fronts.pop3.say(outOfTurn), '-ERR [SYS/PERM] protocol violation (#5.5.1)\r\n')
  assert.match(fronts.submission.say(shuttingDown), /^421 /)
  assert.match(fronts.pop3.say(shuttingDown), /^-ERR \[SYS\/TEMP\] /)
})
