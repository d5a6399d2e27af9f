/** How long a session waits for its client. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { FakeClock } from '../kit/smtpd.ts'
import { SubmissionRig } from '../kit/submission.ts'

describe('a client that', () => {
  const clock = new FakeClock()
  const rig = new SubmissionRig()
  before(() => {
    rig.control('timeoutsmtpd', '200')
    return rig.start({ clock })
  })
  after(() => rig.stop())
  const pass = (seconds: number): void => {
    clock.advance(seconds * 1000)
    rig.lastSession?.tick()
  }

  it('says nothing is let go, and its connection with it, even if it does not close', async () => {
    const client = await rig.login()
    const session = rig.lastSession
    pass(199)
    assert.match(await client.say('NOOP\r\n'), /^250 /)
    pass(199)
    assert.equal(client.closed, false)
    pass(2)
    await client.untilClosed()
    assert.match(client.output, /\r\n451 4\.4\.2 timeout \(#4\.4\.2\)\r\n$/)
    pass(6)
    await session?.ended
  })

  it('stops in the middle of a message is let go, and the message is nobody’s', async () => {
    const client = await rig.login()
    await client.say('MAIL FROM:<anna@lab.example>\r\nRCPT TO:<a@b>\r\nDATA\r\n', 3)
    client.socket.write(`X: y\r\n\r\n${'z\r\n'.repeat(30_000)}`)
    await client.say('more', 0)
    pass(181)
    await client.untilClosed()
    assert.match(client.output, /\r\n451 4\.4\.2 timeout \(#4\.4\.2\)\r\n$/)
    client.socket.destroy()
    await rig.lastSession?.ended
    assert.equal(rig.enqueuer.taken.length, 0)
    assert.equal(rig.tools?.budget.held, 0)
  })

  it('only dribbles is let go, too', async () => {
    const client = await rig.login()
    await client.say('MAIL FROM:<anna@lab.example>\r\nRCPT TO:<a@b>\r\nDATA\r\n', 3)
    for (let second = 0; second < 70 && !client.closed; second += 10) {
      client.socket.write('x')
      await new Promise((resolve) => setTimeout(resolve, 2))
      pass(10)
    }
    await client.untilClosed()
    assert.match(client.output, /\r\n451 4\.4\.2 timeout \(#4\.4\.2\)\r\n$/)
  })

  it('never ends is let go after an hour', async () => {
    const client = await rig.login()
    while (!client.closed && clock.now() < Date.UTC(2027, 0, 1)) {
      client.socket.write('RSET\r\n')
      await new Promise((resolve) => setTimeout(resolve, 2))
      pass(120)
    }
    assert.match(client.output, /\r\n421 4\.4\.2 session too long \(#4\.4\.2\)\r\n$/)
  })
})
