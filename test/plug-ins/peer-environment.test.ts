/** What programs that judge a client learn of it: its name by the DNS or by XCLIENT, its addresses by ${PROTO}REMOTEIP. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Edge } from '#test/kit/edge.ts'
import { demoAddress } from '#test/kit/instance.ts'

const plugIns = `[mail]
:echo "P250 $PROTO $TCPREMOTEIP $TCP6REMOTEIP $TCP6REMOTEPORT $TCP6LOCALIP $TCP6LOCALPORT ."
[rcpt]
:[ -n "$TCPREMOTEHOST" ] || echo "E553 no reverse DNS"
`

describe('a plug-in', () => {
  let edge: Edge
  before(async () => {
    const files = { 'control/smtpplugins': plugIns, 'control/xclients': '192.0.2.50\n' }
    edge = await Edge.start({ files })
    edge.dns.set('50.2.0.192.in-addr.arpa', 'PTR proxy.test')
  })
  after(() => edge.end())

  const fromNamed = async (xclient: string): Promise<string[]> => {
    const visitor = await edge.greeted('192.0.2.50')
    return await visitor.talk(xclient, 'EHLO client.test', 'MAIL FROM:<a@b.test>', `RCPT TO:<${demoAddress}>`)
  }

  it('refuses a client without a name, and not the one whom the DNS calls something', async () => {
    edge.dns.set('8.2.0.192.in-addr.arpa', 'PTR Mail.Client.TEST')
    const rcpt = async (ip: string): Promise<string> => {
      const visitor = await edge.greeted(ip)
      return (await visitor.talk('MAIL FROM:<a@b.test>', `RCPT TO:<${demoAddress}>`))[1] ?? ''
    }
    assert.match(await rcpt('192.0.2.7'), /^553 .*no reverse DNS/)
    assert.match(await rcpt('192.0.2.8'), /^250 /)
    const visitor = await edge.greeted('192.0.2.8')
    await visitor.send('named')
    assert.match(
      await edge.delivered('named'),
      /\nReceived: from mail\.client\.test \(HELO visitor\.test\) \(192\.0\.2\.8\)\n/,
    )
    assert.match(
      await edge.instance.log(),
      / smtpd: ok \d+ quaver\.test:192\.0\.2\.25:25 mail\.client\.test:192\.0\.2\.8::40000\n/,
    )
  })

  it('behind XCLIENT has the name that it told, or none', async () => {
    assert.match((await fromNamed('XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE]')).at(-1) ?? '', /^553 .*no reverse DNS/)
    assert.match((await fromNamed('XCLIENT ADDR=192.0.2.7 NAME=mail.example')).at(-1) ?? '', /^250 /)
  })

  it('keeps the name where XCLIENT tells neither a name nor an address', async () => {
    assert.match((await fromNamed('XCLIENT HELO=client.test')).at(-1) ?? '', /^250 /)
    assert.match((await fromNamed('XCLIENT ADDR=192.0.2.51')).at(-1) ?? '', /^553 .*no reverse DNS/)
  })

  it('finds the address of an IPv6 client by PROTO, also behind XCLIENT', async () => {
    const visitor = await edge.greeted('2001:db8::7')
    const told = '250-TCP6 2001:db8::7 2001:db8::7 40000 2001:db8::25 25 .'
    assert.equal((await visitor.talk('MAIL FROM:<a@b.test>'))[0], told)
    const behind = await fromNamed('XCLIENT ADDR=IPV6:2001:db8::7 DESTADDR=IPV6:2001:db8::25')
    assert.equal(behind[2], told)
    const four = await edge.greeted('192.0.2.7')
    assert.equal((await four.talk('MAIL FROM:<a@b.test>'))[0], '250-TCP 192.0.2.7     .')
  })
})
