/** Rules for names of hosts, in a running Quaver: the name is looked up before the rules are asked, and counts only if it
 *  leads back. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { DnsServer } from '../kit/dns-server.ts'
import { Edge } from '../kit/edge.ts'
import { pop3Client, submissionClient } from '../kit/login-client.ts'
import { type LoginInstance, startWithLogins } from '../kit/login-instance.ts'
import { without } from '../kit/tool.ts'

const rules = [
  '127.:allow',
  '=mail.friend.test:allow,RELAYCLIENT=""',
  '=.dialup.test:deny',
  '=:allow,GREETDELAY="0"',
  ':deny',
  '',
].join('\n')

function fill(dns: DnsServer): void {
  dns
    .set('1.2.0.192.in-addr.arpa', 'PTR mail.friend.test')
    .set('mail.friend.test', 'A 192.0.2.1')
    .set('2.2.0.192.in-addr.arpa', 'PTR mail.friend.test')
    .set('3.2.0.192.in-addr.arpa', 'PTR c3.pool.dialup.test')
    .set('c3.pool.dialup.test', 'A 192.0.2.3')
    .set('4.2.0.192.in-addr.arpa', 'PTR mx.other.test')
    .set('mx.other.test', 'A 192.0.2.4')
    .set(`5${'.0'.repeat(23)}.8.b.d.0.1.0.0.2.ip6.arpa`, 'PTR six.friend.test')
    .set('six.friend.test', 'AAAA 2001:db8:0:0:0:0:0:5')
    .setFate('6.2.0.192.in-addr.arpa', 'SERVFAIL')
}

describe('rules by name on port 25', () => {
  let edge: Edge
  before(async () => {
    edge = await Edge.start({ files: { 'control/tcprules/smtp': rules } })
    fill(edge.dns)
  })
  after(() => edge.end())

  const mayRelay = async (ip: string): Promise<boolean> => {
    const visitor = await edge.greeted(ip)
    const [, , reply] = await visitor.talk('EHLO x', 'MAIL FROM:<a@b.test>', 'RCPT TO:<x@elsewhere.test>')
    return reply?.startsWith('250') ?? false
  }

  it('let in and set variables for a host whose name leads back', async () => {
    assert.equal(await mayRelay('192.0.2.1'), true)
    assert.equal(await mayRelay('192.0.2.4'), false)
    assert.equal(await mayRelay('2001:db8::5'), false)
    await edge.logged(/ smtpd: ok \d+ \S+ six\.friend\.test:2001:db8::5::40000/)
  })

  it('do not see a name that does not lead back, and turn away who has none', async () => {
    for (const ip of ['192.0.2.2', '192.0.2.3', '192.0.2.6', '192.0.2.7'])
      assert.equal(await edge.from(ip).bare.untilClosed(10_000), '', ip)
    await edge.logged(/ smtpd: deny \d+ \S+ c3\.pool\.dialup\.test:192\.0\.2\.3:/)
  })

  it('explain says the name and the rule', async () => {
    const explain = async (ip: string): Promise<string> => {
      const args = ['smtp', 'explain', '--ip', ip, '--helo', 'h', '--from', 'a@b.test', '--to', 'x@elsewhere.test']
      return (await edge.instance.quaver(...args)).stdout
    }
    assert.match(await explain('192.0.2.1'), /192\.0\.2\.1 is mail\.friend\.test[^]*=mail\.friend\.test:/)
    assert.match(await explain('192.0.2.2'), /calls itself mail\.friend\.test, which does not lead back[^]*deny/)
  })
})

describe('rules by name on 587 and 110', { skip: without('openssl') }, () => {
  let world: LoginInstance | undefined
  let dns: DnsServer | undefined
  before(async () => {
    dns = await DnsServer.listen()
    fill(dns)
    const loginRules = '127.0.0.1:allow\n=.friend.test:allow\n:deny\n'
    world = await startWithLogins({
      'control/proxyclients': '127.0.0.9\n',
      'control/dnsservers': `${dns.server}\n`,
      'control/tcprules/ofmip': loginRules,
      'control/tcprules/pop3': loginRules,
    })
  })
  after(async () => {
    await world?.end()
    dns?.close()
  })

  it('a host whose name leads back is let in, others are not', async () => {
    const quaver = world?.quaver ?? assert.fail('it does not run')
    for (const [open, port] of [
      [submissionClient, quaver.portOf('submission')],
      [pop3Client, quaver.portOf('pop3')],
    ] as const) {
      const from = (ip: string) => ({
        address: '127.0.0.9',
        proxyHeader: `PROXY TCP4 ${ip} 192.0.2.25 40000 587\r\n`,
      })
      ;(await open(port, from('192.0.2.1'))).client.destroy()
      await assert.rejects(open(port, from('192.0.2.2')))
      await assert.rejects(open(port, from('192.0.2.4')))
    }
  })
})
