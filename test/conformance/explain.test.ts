/** `quaver smtp explain` beside a live session of the same client. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Edge } from '#test/kit/edge.ts'
import { demoAddress } from '#test/kit/instance.ts'

interface Step {
  readonly command: string
  readonly reply: string
  readonly closes: boolean
  readonly findings: readonly { readonly check: string; readonly rule: string; readonly text: string }[]
}

describe('explain beside the live server', () => {
  let edge: Edge
  before(async () => {
    edge = await Edge.start({
      files: {
        'control/dnsbls': '',
        'control/badrcptto': `spam@quaver.test\n`,
        'control/tcprules/smtp':
          '127.:allow\n::1:allow\n198.51.100.0/25:deny\n2001:db8:5::/48:allow,DATABYTES="1"\n:allow,GREETDELAY="0"\n',
        'control/rcptchecks': 'qmail-rcptcheck-badrcptto\nqmail-rcptcheck-realrcptto\n',
      },
    })
  })
  after(() => edge.end())

  const explained = async (
    ip: string,
    to: readonly string[] = [demoAddress],
    from = 'a@b.test',
    more: readonly string[] = [],
  ): Promise<Step[]> => {
    const recipients = to.flatMap((one) => ['--to', one])
    const request = ['--json', '--ip', ip, '--from', from, ...recipients, ...more]
    const { stdout, stderr } = await edge.instance.quaver('smtp', 'explain', ...request)
    assert.equal(stderr, '')
    return JSON.parse(stdout) as Step[]
  }

  const findingsOf = (step: Step | undefined): string[] =>
    (step?.findings ?? []).map(({ check, rule }) => `${check} (${rule})`)

  it('names the recipient check that refused, and its file', async () => {
    const steps = await explained('192.0.2.1', ['spam@quaver.test'])
    assert.ok(findingsOf(steps[3]).includes('badrcptto (control/badrcptto)'), findingsOf(steps[3]).join())
  })

  it('shows the network of a rule as people write it, and that the connection is closed', async () => {
    const steps = await explained('::ffff:198.51.100.7')
    assert.deepEqual(
      steps.map(({ reply, closes }) => [reply, closes]),
      [['', true]],
    )
    assert.ok(findingsOf(steps[0]).includes('tcprules (control/tcprules/smtp 198.51.100.0/25:)'))
    const args = ['smtp', 'explain', '--ip', '198.51.100.7', '--from', 'a@b.test', '--to', demoAddress]
    assert.match((await edge.instance.quaver(...args)).stdout, /closed without a word/)
    assert.equal(await edge.from('198.51.100.7').bare.untilClosed(10_000), '')
  })

  it('takes an address in any spelling, as the server would see it', async () => {
    const [connects] = await explained('2001:0DB8:0005:0:0:0:0:1')
    assert.ok(findingsOf(connects).includes('tcprules (control/tcprules/smtp 2001:db8:5::/48:)'))
    const [own] = await explained('0:0:0:0:0:0:0:1')
    assert.ok(!findingsOf(own).some((finding) => finding.startsWith('name ')), findingsOf(own).join())
  })

  it('goes to the end of a message that is there, by the same limits', async () => {
    const file = join(edge.instance.home, 'saved.eml')
    writeFileSync(file, 'Subject: x\n\nhi\n')
    const steps = await explained('192.0.2.1', [demoAddress], 'a@b.test', ['--message', file])
    assert.deepEqual(
      steps.slice(-2).map(({ command, reply }) => [command, reply.slice(0, 3)]),
      [
        ['DATA', '354'],
        ['.', 'it '],
      ],
    )
    assert.ok(findingsOf(steps.at(-1)).includes('head (smtpd)'))
    const limited = await explained('2001:db8:5::1', [demoAddress], 'a@b.test', ['--message', file])
    assert.match(limited.at(-1)?.reply ?? '', /^552 /)
    assert.ok(findingsOf(limited.at(-1)).some((finding) => finding.startsWith('databytes (DATABYTES, ')))
    assert.equal((await edge.instance.quaver('queue', 'list')).stdout.includes('a@b.test'), false)
  })

  it('logs no refusal: nobody was there, and fail2ban would count it', async () => {
    const steps = await explained('192.0.2.77', ['x@elsewhere.test', 'spam@quaver.test', 'not-there@quaver.test'])
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
