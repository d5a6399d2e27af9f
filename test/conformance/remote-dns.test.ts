/** From a domain to addresses, through the real resolver and a name server of the test's own. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { SystemDns } from '../../src/clients/dns/resolver.ts'
import { MailExchangers, type Targets } from '../../src/clients/smtp/mail-exchangers.ts'
import { troubleIn } from '../../src/contracts/troubles.ts'
import { remoteStatus } from '../../src/protocols/qmail/remote-status.ts'
import { realClock } from '../../src/system/clock.ts'
import { realRandom } from '../../src/system/random.ts'
import { DnsServer } from '../kit/dns-server.ts'
import { reportOf } from '../kit/status.ts'

const ourselves = '192.0.2.99'
const notNow = "ZSorry, I couldn't find any host by that name. (#4.1.2)\n"
const noAddress = "DSorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n"
const ambiguous =
  "DSorry. Although I'm listed as a best-preference MX or A for that host,\n" +
  "it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n"

describe('where mail for a domain goes', () => {
  let server: DnsServer
  let exchangers: MailExchangers
  before(async () => {
    server = await DnsServer.listen()
  })
  after(() => server.close())
  // A new resolver each time: no test may live on another's cache.
  beforeEach(() => {
    const dns = new SystemDns(realClock, [server.server])
    exchangers = new MailExchangers({
      dns,
      random: realRandom,
      isOurs: (address) => [ourselves, '127.0.0.1', '0.0.0.0'].includes(address),
      isDead: (address) => address.startsWith('198.51.100.'),
    })
  })

  async function way(domain: string): Promise<string> {
    return wordsOf(await exchangers.ofDomain(domain))
  }

  function wordsOf(found: Targets): string {
    if (found.kind === 'targets')
      return found.targets.map(({ address, port, name }) => `${name} ${address} ${port}`).join(', ')
    const { letter, text } = reportOf(found.status)
    return letter + text
  }

  it('what the name server said is known to the administrator: a cause where it is silent, none where a zone is broken', async () => {
    const troubleOf = async (parts: MailExchangers, domain: string) => {
      const targets = await parts.ofDomain(domain)
      assert.equal(wordsOf(targets), notNow)
      const { logText } = targets.kind === 'failed' ? targets.status : assert.fail()
      assert.match(logText, /^name server: /)
      return troubleIn(logText)?.kind
    }
    server.setFate('broken.test', 'SERVFAIL')
    assert.equal(await troubleOf(exchangers, 'broken.test'), undefined)
    server.set('halfway.test', 'MX 10 mx.broken.test')
    server.setFate('mx.broken.test', 'SERVFAIL')
    assert.equal(await troubleOf(exchangers, 'halfway.test'), undefined)
    // Nobody listens there.
    const dns = new SystemDns(realClock, ['127.0.0.1:1'], { queryMilliseconds: 500, triesMax: 1 })
    const away = new MailExchangers({ dns, random: realRandom, isOurs: () => false, isDead: () => false })
    assert.equal(await troubleOf(away, 'any.test'), 'name-server')
  })
  it('MX by preference, IPv4 before IPv6', async () => {
    server.set('a.test', 'MX 20 late.test', 'MX 10 soon.test')
    server.set('soon.test', 'A 192.0.2.1', 'AAAA 2001:db8:0:0:0:0:0:1')
    server.set('late.test', 'A 192.0.2.2')
    assert.equal(await way('A.test'), 'soon.test 192.0.2.1 25, soon.test 2001:db8::1 25, late.test 192.0.2.2 25')
  })
  it('equal preferences are shuffled', async () => {
    server.set('eq.test', ...Array.from({ length: 6 }, (_, n) => `MX 5 m${n}.test`))
    for (let n = 0; n < 6; n++) server.set(`m${n}.test`, `A 192.0.2.${n + 10}`)
    const orders = new Set<string>()
    for (let n = 0; n < 20; n++) orders.add(await way('eq.test'))
    assert.ok(orders.size > 1)
  })
  it('no MX: the host itself; a CNAME on the way changes nothing', async () => {
    server.set('plain.test', 'A 192.0.2.3')
    server.set('alias.test', 'CNAME plain.test')
    assert.equal(await way('plain.test'), 'plain.test 192.0.2.3 25')
    assert.equal(await way('alias.test'), 'alias.test 192.0.2.3 25')
  })
  it('a truncated answer is asked for again by TCP, and only so much of it is used', async () => {
    server.set('big.test', ...Array.from({ length: 60 }, (_, n) => `MX ${n} host-with-a-long-name-${n}.big.test`))
    for (let n = 0; n < 60; n++) server.set(`host-with-a-long-name-${n}.big.test`, `A 192.0.2.${n + 1}`)
    const found = (await way('big.test')).split(', ')
    assert.equal(found.length, 8)
    assert.equal(found[0], 'host-with-a-long-name-0.big.test 192.0.2.1 25')
    assert.ok(server.questions.includes('tcp big.test MX'))
    assert.ok(!server.questions.includes('udp host-with-a-long-name-20.big.test A'), 'no more than 20 MX')
  })

  it('null MX', async () => {
    server.set('null.test', 'MX 0 .', 'A 192.0.2.4')
    assert.equal(await way('null.test'), 'DSorry, null.test does not accept mail. (#5.1.10)\n')
  })
  it('no such name', async () => {
    assert.equal(await way('nowhere.test'), "DSorry, I couldn't find any host named nowhere.test. (#5.1.2)\n")
  })
  for (const bad of ['a b.test', 'x_y..test', 'a/../b', '', 'caf\xe9.test', `${'a'.repeat(64)}.test`])
    it(`${JSON.stringify(bad)} is never asked for`, async () => {
      const asked = server.questions.length
      const shown = bad.replace(/[^!-~]/g, '?')
      assert.equal(await way(bad), `DSorry, I couldn't find any host named ${shown}. (#5.1.2)\n`)
      assert.equal(server.questions.length, asked)
    })
  it('a UTF-8 name is asked for in its ASCII form', async () => {
    server.set('xn--bcher-kva.test', 'A 192.0.2.5')
    const domain = Buffer.from('bücher.test').toString('latin1')
    assert.equal(await way(domain), 'xn--bcher-kva.test 192.0.2.5 25')
  })
  for (const fate of ['SERVFAIL', 'REFUSED'] as const)
    it(`${fate} defers`, async () => {
      server.setFate('trouble.test', fate)
      assert.equal(await way('trouble.test'), notNow)
    })
  it('trouble with one MX matters only if no other has an address', async () => {
    server.set('half.test', 'MX 1 sick.test', 'MX 2 well.test').setFate('sick.test', 'SERVFAIL')
    server.set('well.test', 'A 192.0.2.6')
    server.set('sad.test', 'MX 1 sick.test', 'MX 2 gone.test')
    assert.equal(await way('half.test'), 'well.test 192.0.2.6 25')
    assert.equal(await way('sad.test'), notNow)
  })
  it('neither MX nor address', async () => {
    server.set('empty.test')
    server.set('lost.test', 'MX 1 gone.test')
    assert.equal(await way('empty.test'), noAddress)
    assert.equal(await way('lost.test'), noAddress)
  })

  it('ourselves as best MX: not delivered in a circle', async () => {
    server.set('self.test', 'MX 10 us.test', 'MX 20 backup.test')
    server.set('us.test', `A ${ourselves}`)
    server.set('backup.test', 'A 192.0.2.7')
    assert.equal(await way('self.test'), ambiguous)
    assert.equal(await way(`[${ourselves}]`), ambiguous)
    assert.equal(await way('[0.0.0.0]'), ambiguous)
  })
  it('ourselves as second: only better ones are tried', async () => {
    server.set('second.test', 'MX 10 best.test', 'MX 20 us2.test', 'MX 20 same.test', 'MX 30 worse.test')
    server.set('best.test', 'A 192.0.2.8').set('us2.test', `A ${ourselves}`)
    server.set('same.test', 'A 192.0.2.9').set('worse.test', 'A 192.0.2.10')
    assert.equal(await way('second.test'), 'best.test 192.0.2.8 25')
  })
  for (const [what, ...records] of [
    ['cannot be resolved now', 'MX 10 sick.test', 'MX 20 us.test'],
    ['does not exist', 'MX 10 gone.test', 'MX 20 us.test'],
    ['has no address that we may connect to', 'MX 10 loop.test', 'MX 20 us.test'],
  ] as const)
    it(`ourselves as backup of one that ${what}: the mail waits`, async () => {
      server.setFate('sick.test', 'SERVFAIL').set('us.test', `A ${ourselves}`).set('loop.test', 'A 127.0.0.2')
      server.set('backup.test', ...records)
      assert.equal(await way('backup.test'), notNow)
    })
  it('an address that we may not connect to is no last word while the other family is unknown', async () => {
    server
      .set('loop4.test', 'A 127.0.0.2')
      .set('mx4.test', 'MX 5 loop4.test')
      .setTypeFate('loop4.test', 'AAAA', 'SERVFAIL')
    assert.equal(await way('mx4.test'), notNow)
    assert.equal(await way('loop4.test'), notNow)
  })
  it('an MX that is an IPv4 address is that address', async () => {
    server.set('literal.test', 'MX 10 192.0.2.40', 'MX 20 127.0.0.2')
    assert.equal(await way('literal.test'), '192.0.2.40 192.0.2.40 25')
  })
  it('many addresses of one exchanger hide neither its other family nor the next exchanger', async () => {
    const addresses = Array.from({ length: 10 }, (_, n) => `A 192.0.2.${n + 60}`)
    server.set('wide.test', 'MX 10 ten.test', 'MX 20 next.test').set('next.test', 'A 192.0.2.80')
    server.set('ten.test', ...addresses, 'AAAA 2001:db8:0:0:0:0:0:a')
    const found = (await way('wide.test')).split(', ')
    assert.equal(found.length, 5)
    assert.deepEqual(found.slice(-2), ['ten.test 2001:db8::a 25', 'next.test 192.0.2.80 25'])
  })
  it('nor do many exchangers of many addresses hide the last', async () => {
    const names = ['m1', 'm2', 'm3', 'm4']
    server.set('wider.test', ...names.map((name, n) => `MX ${n} ${name}.test`))
    for (const [n, name] of names.entries())
      server.set(`${name}.test`, ...Array.from({ length: 5 }, (_, host) => `A 192.0.2.${10 * n + host + 100}`))
    const found = (await way('wider.test')).split(', ')
    assert.deepEqual(
      found.map((target) => target.slice(0, 2)),
      ['m1', 'm1', 'm2', 'm2', 'm3', 'm3', 'm4', 'm4'],
    )
  })
  it('addresses known to be dead are left out before the others', async () => {
    server.set('dead.test', ...Array.from({ length: 10 }, (_, n) => `A 198.51.100.${n + 1}`), 'A 192.0.2.90')
    assert.equal(await way('dead.test'), 'dead.test 192.0.2.90 25')
  })
  for (const [kind, address] of [
    ['loopback', 'A 127.0.0.2'],
    ['link-local', 'A 169.254.1.1'],
    ['multicast', 'A 224.0.0.1'],
    ['IPv6 link-local', 'AAAA fe80:0:0:0:0:0:0:1'],
    ['loopback inside IPv6', 'AAAA 0:0:0:0:0:ffff:7f00:0002'],
  ] as const)
    it(`a ${kind} address from DNS is no way out`, async () => {
      server.set(`${kind.replaceAll(' ', '-').toLowerCase()}.test`, address)
      assert.equal(await way(`${kind.replaceAll(' ', '-').toLowerCase()}.test`), noAddress)
    })

  it('literals need no DNS', async () => {
    const asked = server.questions.length
    assert.equal(await way('[192.0.2.50]'), '192.0.2.50 192.0.2.50 25')
    assert.equal(await way('192.0.2.50'), '192.0.2.50 192.0.2.50 25')
    assert.equal(await way('[IPv6:2001:db8::5]'), '2001:db8::5 2001:db8::5 25')
    assert.equal(server.questions.length, asked)
  })
  it('a route may lead to loopback, and one that leads nowhere defers', async () => {
    const relay = await exchangers.ofRelay({ host: '127.0.0.1', port: 2525 })
    assert.deepEqual(relay, { kind: 'targets', targets: [{ address: '127.0.0.1', port: 2525, name: '127.0.0.1' }] })
    server.set('mute.test')
    for (const host of ['typo.test', 'mute.test'])
      assert.deepEqual(await exchangers.ofRelay({ host, port: 25 }), {
        kind: 'failed',
        status: { ...remoteStatus.noHostNow, logText: `the relay ${host} has no address` },
      })
  })
  it('an answer that cannot be read is trouble for its own question only', async () => {
    server.set('fine.test', 'A 192.0.2.12').setFate('torn.test', 'malformed')
    server.delayMilliseconds = 30
    const ways = Promise.all([way('fine.test'), way('torn.test'), way('fine2.test')])
    server.set('fine2.test', 'A 192.0.2.13')
    assert.deepEqual(await ways, ['fine.test 192.0.2.12 25', notNow, 'fine2.test 192.0.2.13 25'])
    server.delayMilliseconds = 0
  })
  it('many who ask the same share a question', async () => {
    server.set('busy.test', 'A 192.0.2.11')
    const ways = await Promise.all(Array.from({ length: 50 }, () => way('busy.test')))
    assert.deepEqual(new Set(ways), new Set(['busy.test 192.0.2.11 25']))
    assert.equal(server.questions.filter((question) => question.includes(' busy.test ')).length, 3)
  })
})
