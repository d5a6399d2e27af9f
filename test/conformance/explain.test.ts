/** `quaver smtp explain` beside a live session of the same client. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Edge } from '#test/kit/edge.ts'
import { demoAddress } from '#test/kit/instance.ts'

interface Step {
  readonly command: string
  readonly reply: string
  readonly findings: readonly { readonly check: string; readonly rule: string; readonly text: string }[]
}

describe('explain beside the live server', () => {
  let edge: Edge
  before(async () => {
    edge = await Edge.start({
      files: {
        'control/dnsbls': '',
        'control/badrcptto': `spam@quaver.test\n`,
        'control/rcptchecks': 'qmail-rcptcheck-badrcptto\nqmail-rcptcheck-realrcptto\n',
      },
    })
  })
  after(() => edge.end())

  const explained = async (ip: string, to: readonly string[] = [demoAddress], from = 'a@b.test'): Promise<Step[]> => {
    const recipients = to.flatMap((one) => ['--to', one])
    const request = ['--json', '--ip', ip, '--from', from, ...recipients]
    const { stdout, stderr } = await edge.instance.quaver('smtp', 'explain', ...request)
    assert.equal(stderr, '')
    return JSON.parse(stdout) as Step[]
  }

  it('logs no refusal: nobody was there, and fail2ban would count it', async () => {
    const steps = await explained('192.0.2.77', ['x@elsewhere.test', 'spam@quaver.test', 'nobody@quaver.test'])
    assert.deepEqual(
      steps.map(({ reply }) => reply.slice(0, 3)),
      ['220', '250', '250', '553', '553', '553', '503'],
    )
    const visitor = await edge.greeted('192.0.2.78')
    await visitor.talk('MAIL FROM:<a@b.test>', 'RCPT TO:<x@elsewhere.test>')
    await edge.logged(/refused 192\.0\.2\.78 rcpt /)
    assert.doesNotMatch(await edge.instance.log(), /192\.0\.2\.77/)
  })
})
