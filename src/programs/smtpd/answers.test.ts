import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ScriptedSession } from '#test/kit/smtpd.ts'
import { parseFixSmtpIo } from '../../protocols/qmail/fixsmtpio.ts'
import { ReplyRules } from './reply-rules.ts'

/** A session whose idle time is over after what it hears; what it says then. */
async function overdueAfter(text: string, rules: string): Promise<string> {
  const parsed = parseFixSmtpIo(rules)
  assert.ok(parsed.valid)
  const session = new ScriptedSession({
    control: { timeoutsmtpd: '7\n' },
    replyRules: new ReplyRules(parsed.rules, 'lab.test.example'),
  })
  await session.send(text)
  const before = session.output.length
  session.clock.time += 8000
  session.session.tick()
  return session.output.slice(before)
}

describe('a reply that answers no command', () => {
  const rules = ':greeting::451*::250 greeting rule\n:noop::451*::250 noop rule\n:timeout::451*::421 timeout rule\n'

  it('is told by the rules of the event timeout, not by those of the last command', async () => {
    assert.equal(await overdueAfter('NOOP\r\n', rules), '421 timeout rule\r\n')
    assert.equal(await overdueAfter('', rules), '421 timeout rule\r\n')
    assert.equal(await overdueAfter('NOOP\r\n', ':noop::451*::250 noop rule\n'), '451 timeout (#4.4.2)\r\n')
  })

  it('is also what a server says that stops', async () => {
    const parsed = parseFixSmtpIo(':noop::421*::250 noop rule\n:timeout::421*::421 timeout rule\n')
    assert.ok(parsed.valid)
    const session = new ScriptedSession({ replyRules: new ReplyRules(parsed.rules, 'lab.test.example') })
    await session.send('NOOP\r\n')
    session.session.shutdown()
    assert.match(session.output, /\n250 ok\r\n421 timeout rule\r\n$/)
  })

  it('is not what is said after the content: that is an answer to DATA', async () => {
    const parsed = parseFixSmtpIo(':data::250*::250 data rule\n:timeout::*::421 timeout rule\n')
    assert.ok(parsed.valid)
    const session = new ScriptedSession({ replyRules: new ReplyRules(parsed.rules, 'lab.test.example') })
    const said = await session.send('MAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\n\r\nhello\r\n.\r\n')
    assert.match(said, /354 go ahead\r\n250 data rule\r\n$/)
  })
})
