/** How much one account may send in an hour. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { transient } from '../../src/base/outcome.ts'
import { Usage } from '../../src/programs/local/submission/usage.ts'
import { FakeClock } from '../kit/smtpd.ts'
import { SubmissionRig } from '../kit/submission.ts'

const hour = 3_600_000

describe('the limit of an account', () => {
  const clock = new FakeClock()
  const rig = new SubmissionRig()
  before(() => {
    rig.control('submissionmessages', '3')
    rig.control('submissionrecipients', '5')
    return rig.start({ usage: new Usage(clock) })
  })
  after(() => rig.stop())

  it('is on recipients, over all its sessions', async () => {
    const client = await rig.login()
    assert.match(await client.submit('X: y\r\n', 'anna@lab.example', ['a@b', 'c@d', 'e@f']), /^250 /)
    const second = await rig.login()
    const said = await second.say('MAIL FROM:<anna@lab.example>\r\n'.concat('RCPT TO:<a@b>\r\n'.repeat(3)), 4)
    assert.deepEqual(
      said.split('\r\n').map((line) => line.slice(0, 9)),
      ['250 2.1.0', '250 2.1.5', '250 2.1.5', '452 4.7.1', ''],
    )
    assert.match(said, /sorry, you have sent 1 messages to 3 recipients in the last hour; try again later/)
    // Meanwhile the first session sends.
    assert.match(await client.submit('X: y\r\n'), /^250 /)
    assert.match(await second.say('DATA\r\n'), /^452 4\.7\.1 /)
    await client.end()
    await second.end()
    assert.equal(rig.log.filter((line) => line.startsWith('alert: ')).length, 1)
    assert.match(
      rig.log.find((line) => line.startsWith('alert: ')) ?? '',
      /^alert: anna@lab\.example has sent 1 messages to 3 /,
    )
  })

  it('is on messages', async () => {
    const client = await rig.login()
    assert.match(await client.submit('X: y\r\n'), /^250 /)
    assert.match(
      await client.say('MAIL FROM:<anna@lab.example>\r\n'),
      /^452 4\.7\.1 sorry, you have sent 3 messages to 5 /,
    )
    await client.end()
  })

  it('is the same by every spelling of the name', async () => {
    const client = await rig.login({ account: 'anna@elsewhere.example' })
    assert.match(await client.say('MAIL FROM:<anna@lab.example>\r\n'), /^452 4\.7\.1 .* 3 messages to 5 /)
    await client.end()
  })

  it('is remembered for as long as it takes to earn it again', () => {
    // One of three messages and three of five recipients, then two and four, then all.
    assert.deepEqual(rig.stays.slice(0, 3), [hour * 0.6, hour * 0.8, hour])
  })

  it('is nobody else’s', async () => {
    const client = await rig.login({ account: 'bob@lab.example' })
    assert.match(await client.submit('X: y\r\n', 'bob@lab.example'), /^250 /)
    await client.end()
  })

  it('is over after an hour; the administrator hears of the next one', async () => {
    clock.advance(hour)
    const client = await rig.login()
    for (let sent = 0; sent < 3; sent++) assert.match(await client.submit('X: y\r\n'), /^250 /)
    assert.match(await client.submit('X: y\r\n'), /^452 /)
    assert.equal(rig.log.filter((line) => line.startsWith('alert: anna')).length, 2)
    await client.end()
  })

  it('does not count what was not sent', async () => {
    clock.advance(hour)
    const client = await rig.login()
    rig.enqueuer.failure = transient('3.0', 'qq crashed')
    for (let tried = 0; tried < 5; tried++) assert.match(await client.submit('X: y\r\n'), /^451 /)
    rig.enqueuer.failure = undefined
    assert.match(await client.submit('From: bob@lab.example\r\n'), /^554 /)
    const session = rig.lastSession
    const half = await rig.login()
    await half.say('MAIL FROM:<anna@lab.example>\r\nRCPT TO:<a@b>\r\nDATA\r\n', 3)
    half.socket.destroy()
    await rig.lastSession?.ended
    assert.notEqual(rig.lastSession, session)
    assert.deepEqual(rig.tools?.usage.sent(rig.homeOf('anna')), { messages: 0, recipients: 0 })
    await client.end()
  })
})

describe('0', () => {
  const rig = new SubmissionRig()
  before(() => {
    rig.control('submissionmessages', '0')
    rig.control('submissionrecipients', '0')
    return rig.start()
  })
  after(() => rig.stop())

  it('is no limit', async () => {
    const client = await rig.login()
    for (let sent = 0; sent < 20; sent++)
      assert.match(
        await client.submit(
          'X: y\r\n',
          'anna@lab.example',
          Array.from({ length: 200 }, () => 'a@b'),
        ),
        /^250 /,
      )
    await client.end()
  })
})
