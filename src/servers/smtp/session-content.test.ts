import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PlainSession } from '#test/kit/plain-session.ts'
import { transient } from '../../base/outcome.ts'

const envelope = 'MAIL x\r\nRCPT c@d\r\n'
const message = `${envelope}DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n`

describe('a session in which content comes', () => {
  it('hands it over, says what became of it, and takes commands again', async () => {
    const session = new PlainSession()
    assert.equal(session.hears(`${message}NOOP\r\n`), '250 ok\r\n250 ok\r\n354 go ahead\r\n')
    assert.equal(session.pendingBytes, 6)
    assert.equal(await session.settles(), '250 ok 1795252087 qp 4711\r\n250 ok\r\n')
    assert.equal(session.enqueuer.taken[0]?.content, 'Subject: x\n\nhello\n')
    assert.deepEqual([session.over, session.log], [['c@d: taken'], []])
    assert.match(session.hears('RCPT c@d\r\n'), /^503 MAIL first/)
  })

  it('says what its enqueuer says, or what the content is refused for', async () => {
    const session = new PlainSession()
    session.enqueuer.failure = transient('3.0', 'qq crashed', 'gone')
    session.hears(message)
    assert.equal(await session.settles(), '451 qq crashed (#4.3.0)\r\n')
    session.hears(`${envelope}DATA\r\n${`${'x'.repeat(998)}\r\n`.repeat(101)}.\r\n`)
    assert.match(await session.settles(), /^552 .*databytes limit/)
    assert.deepEqual(session.over, ['c@d: refused', 'c@d: refused'])
    assert.deepEqual(session.log, ['queue gone', 'content 552'])
  })

  it('is sent away at the first byte that does not belong there', () => {
    const session = new PlainSession()
    assert.match(session.hears(`${envelope}DATA\r\na\nb`), /354 go ahead\r\n554 bare LF/)
    assert.deepEqual([session.log, session.over], [['end: bare-lf 554'], ['c@d: given up']])
    assert.deepEqual([session.closes, session.sessionBudget.held], [['refused'], 0])
  })

  it('is told to stop: the message is finished first', async () => {
    const session = new PlainSession()
    session.hears(`${envelope}DATA\r\nhel`)
    session.shutdown()
    assert.deepEqual(session.closes, [])
    session.hears(`lo\r\n.\r\n${message}`)
    assert.match(await session.settles(), /^250 ok \d+ qp 4711\r\n421 shutting down[^\n]*\n$/)
    assert.equal(session.enqueuer.taken.length, 1)
  })

  it('gives it up when the connection goes or the time is up', () => {
    for (const end of [
      (session: PlainSession): void => session.abort(),
      (session: PlainSession): void => session.receiveEnd(),
      (session: PlainSession): void => {
        session.sessionClock.advance(180_001)
        session.tick()
      },
    ]) {
      const session = new PlainSession()
      session.hears(`${envelope}DATA\r\nhello`)
      end(session)
      session.abort()
      assert.deepEqual([session.over, session.sessionBudget.held], [['c@d: given up'], 0])
    }
  })

  it('leaves a whole message to its enqueuer when the connection goes', async () => {
    const session = new PlainSession()
    session.hears(message)
    session.abort()
    assert.equal(await session.settles(), '')
    assert.deepEqual([session.over, session.enqueuer.taken.length], [['c@d: taken'], 1])
  })

  it('ends with a temporary failure if its enqueuer throws', async () => {
    const session = new PlainSession()
    session.enqueuer.open = () => {
      throw new Error('boom')
    }
    session.hears(`${envelope}DATA\r\n`)
    session.hears(`\r\n${'xy\r\n'.repeat(30_000)}`)
    assert.equal(await session.settles(), '451 temporary failure (#4.3.0)\r\n')
    assert.match(session.log.join('\n'), /^bug .*boom/)
    assert.deepEqual([session.over, session.closes, session.sessionBudget.held], [['c@d: given up'], ['refused'], 0])
  })

  it('has a limit on how many there are', async () => {
    const session = new PlainSession({ messagesMax: 2 })
    session.hears(message.repeat(3))
    assert.match(await session.settles(), /(?:^|\n)421 too many messages in one session[^\n]*\n$/)
    assert.deepEqual([session.enqueuer.taken.length, session.log], [2, ['end: messages 421']])
  })
})
