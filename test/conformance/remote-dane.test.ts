/** TLSA records of exchangers (DANE, RFC 7672), obeyed; and REQUIRETLS (RFC 8689), which needs DANE, DNSSEC or MTA-STS. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto'
import { after, describe, it } from 'node:test'
import type { TlsaRecord } from '../../src/protocols/dane/tlsa.ts'
import { certificate, pem, toBeSigned } from '../../src/protocols/x509/self-signed.ts'
import { Authority } from '../kit/certificates.ts'
import { inClear, inTls, PolicyWorld, sendOnce, takeMessages, tlsaRecord } from '../kit/policy-world.ts'
import type { Certificate, Script } from '../kit/scripted-server.ts'
import { without } from '../kit/tool.ts'

const skip = without('openssl')
const authority = skip === false ? new Authority() : undefined
const ca = authority?.caPem ?? ''
const none: Certificate = { cert: '', key: '' }
const good = authority?.issue('mx.t.example', 'DNS:mx.t.example', 'DNS:mx2.t.example') ?? none
const ofOther = authority?.issue('other.test', 'DNS:other.test') ?? none
const own = authority?.selfSigned('ec', '-addext', 'subjectAltName=DNS:mx.t.example') ?? none
after(() => authority?.remove())

function expiredCertificate(): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const signed = toBeSigned({
    hostName: 'mx.t.example',
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    serial: Buffer.of(1),
    notBeforeMs: Date.UTC(2020, 0, 1),
    notAfterMs: Date.UTC(2020, 1, 1),
  })
  const der = certificate(signed, sign('sha256', signed, privateKey))
  return { cert: pem('CERTIFICATE', der), key: privateKey.export({ type: 'pkcs8', format: 'pem' }) }
}

describe('DANE', { skip }, () => {
  const name = 'mx.t.example'
  const signed = { name, tlsaHosts: [name] }

  it('3 x x: a certificate or key that matches is enough, with another name, expired, of nobody', async () => {
    const expired = expiredCertificate()
    for (const [selector, shown] of [
      [0, own],
      [1, own],
      [1, ofOther],
      [1, expired],
    ] as const) {
      const world = await PolicyWorld.of(ca, [{ ...signed, script: inTls(shown) }])
      assert.match(
        await sendOnce(world.tlsa(0, tlsaRecord(3, selector, good.cert), tlsaRecord(3, selector, shown.cert))),
        /^K127/,
      )
    }
  })

  it('no match: the next exchanger, then the message waits, and never in clear', async () => {
    const second = { name: 'mx2.t.example', tlsaHosts: ['mx2.t.example'], script: inTls(own) }
    const world = await PolicyWorld.of(ca, [{ ...signed, script: inTls(good) }, second])
    world.tlsa(0, tlsaRecord(3, 1, own.cert)).tlsa(1, tlsaRecord(3, 1, own.cert))
    assert.match(await sendOnce(world), /^K127/)
    assert.deepEqual(world.connections, [1, 1])
    for (const [script, why] of [
      [inTls(good), 'TLS failed: no TLSA record matches its certificate (demanded by DANE for mx.t.example)'],
      [inClear, 'it offers no TLS, which is demanded by DANE for mx.t.example'],
    ] as const) {
      const alone = await PolicyWorld.of(ca, [{ ...signed, script }])
      assert.equal(await sendOnce(alone.tlsa(0, tlsaRecord(3, 1, own.cert))), `ZConnected to 127.0.0.1 but ${why}.\n`)
      assert.deepEqual([alone.envelopes, alone.connections], [0, [1]])
    }
  })

  it('2 x x: what the authority in the chain has signed, with the name of exchanger or domain', async () => {
    const chain = ({ cert, key }: Certificate): Certificate => ({ cert: cert + ca, key })
    const forDomain = authority?.issue('t.example', 'DNS:t.example') ?? none
    for (const [shown, outcome] of [
      [good, /^K127/],
      [forDomain, /^K127/],
      [ofOther, /^Z.*TLS failed: its certificate is for other names \(demanded by DANE/],
      [own, /^Z.*TLS failed/],
    ] as const) {
      const world = await PolicyWorld.of(ca, [{ ...signed, script: inTls(chain(shown)) }])
      assert.match(await sendOnce(world.tlsa(0, tlsaRecord(2, 0, ca))), outcome)
    }
    const whole = await PolicyWorld.of(ca, [{ ...signed, script: inTls(good) }])
    whole.tlsa(0, { usage: 2, selector: 0, matching: 0, data: new X509Certificate(ca).raw })
    assert.match(await sendOnce(whole), /^K127/, 'a whole certificate need not be sent by the server')
  })

  it('2 x x: an authority of this machine is none of DANE', async () => {
    const world = await PolicyWorld.of(ca, [{ ...signed, script: inTls(good) }])
    assert.match(await sendOnce(world.tlsa(0, tlsaRecord(2, 0, own.cert))), /^Z.*no TLSA record matches/)
  })

  it('2 x x is learnt with one connection more, and only once', async () => {
    const world = await PolicyWorld.of(ca, [{ ...signed, script: inTls({ ...good, cert: good.cert + ca }) }])
    world.tlsa(0, tlsaRecord(2, 1, ca))
    assert.match(await world.send(), /^K/)
    assert.deepEqual(world.connections, [2])
    world.rig.equipment.pool.close()
    assert.match(await world.send(), /^K/)
    assert.deepEqual(world.connections, [3])
    await world.close()
  })

  it('records none of which can be used: TLS, and nobody vouches', async () => {
    const data = Buffer.alloc(32)
    const unusable: TlsaRecord[] = [
      { usage: 0, selector: 0, matching: 1, data },
      { usage: 1, selector: 1, matching: 1, data },
      { usage: 3, selector: 1, matching: 1, data: Buffer.alloc(31) },
      { usage: 3, selector: 2, matching: 1, data },
      { usage: 3, selector: 1, matching: 3, data },
    ]
    const world = await PolicyWorld.of(ca, [{ ...signed, script: inTls(own) }])
    assert.match(await sendOnce(world.tlsa(0, ...unusable)), /^K127/)
    const clear = await PolicyWorld.of(ca, [{ ...signed, script: inClear }])
    assert.match(await sendOnce(clear.tlsa(0, ...unusable)), /^Z.*it offers no TLS/)
    const stricter = await PolicyWorld.of(ca, [{ ...signed, script: inTls(own) }])
    assert.match(await sendOnce(stricter.tlsa(0, ...unusable).sts('enforce', name)), /^Z.*MTA-STS/)
  })

  it('records that cannot be looked up: not there, and never in clear', async () => {
    const world = await PolicyWorld.of(ca, [{ ...signed, script: inTls(good) }])
    const target = world.rig.targets[0]
    world.rig.dns.tlsaRecords.set(`_${target?.port}._tcp.${name}`, { kind: 'soft', why: 'queryTLSA ESERVFAIL' })
    const why = 'whether mx.t.example has TLSA records (DANE) cannot be found out now: queryTLSA ESERVFAIL'
    assert.equal(await sendOnce(world), `ZNot sent to 127.0.0.1: ${why}. (#4.7.5)\n`)
    assert.deepEqual(world.connections, [0])
  })

  it('are not asked for where the zone is not signed, and count for nothing where they are not verified', async () => {
    const unsigned = await PolicyWorld.of(ca, [{ name, script: inClear }])
    assert.match(await sendOnce(unsigned), /^K127/)
    assert.doesNotMatch(unsigned.rig.dns.asked.join(), /tlsa/)
    const unverified = await PolicyWorld.of(ca, [{ ...signed, script: inClear }])
    const target = unverified.rig.targets[0]
    const values = [tlsaRecord(3, 1, own.cert)]
    unverified.rig.dns.tlsaRecords.set(`_${target?.port}._tcp.${name}`, { kind: 'found', values })
    assert.match(await sendOnce(unverified), /^K127/)
  })

  it('behind an alias come first, then those at the name itself', async () => {
    for (const tlsaHosts of [['real.host.example', name], ['real.host.example', name].toReversed()]) {
      const world = await PolicyWorld.of(ca, [{ name, tlsaHosts, script: inTls(own) }])
      const target = world.rig.targets[0]
      const found = { kind: 'found', values: [tlsaRecord(3, 1, own.cert)], isSecure: true } as const
      world.rig.dns.tlsaRecords.set(`_${target?.port}._tcp.real.host.example`, found)
      assert.match(await sendOnce(world), /^K127/)
    }
  })

  it('comes before MTA-STS: good without an authority, bad in spite of one', async () => {
    const world = await PolicyWorld.of(ca, [{ ...signed, script: inTls(own) }])
    assert.match(await sendOnce(world.tlsa(0, tlsaRecord(3, 1, own.cert)).sts('enforce', name)), /^K127/)
    const mismatch = await PolicyWorld.of(ca, [{ ...signed, script: inTls(good) }])
    assert.match(await sendOnce(mismatch.tlsa(0, tlsaRecord(3, 1, own.cert)).sts('enforce', name)), /^Z.*DANE/)
  })
})

describe('REQUIRETLS', { skip }, () => {
  const requireTls = new Map([['REQUIRETLS', '']])
  const passesOn: Script = async (peer) => {
    peer.send('220 hi\r\n')
    await peer.expect('EHLO', '250-hi\r\n250 STARTTLS\r\n')
    await peer.expect('STARTTLS', '220 go\r\n')
    await peer.startTls(good)
    await peer.expect('EHLO', '250-hi\r\n250 REQUIRETLS\r\n')
    const mail = await peer.expect('MAIL', '250 ok\r\n')
    assert.match(mail, / REQUIRETLS/)
    await takeMessages(peer)
  }
  const exchanger = { name: 'mx.t.example', script: passesOn }

  it('needs somebody who vouches for the exchanger: DNSSEC, DANE or MTA-STS', async () => {
    const unknown = await PolicyWorld.of(ca, [exchanger])
    assert.match(
      await unknown.send(requireTls),
      /^DNot sent to 127\.0\.0\.1: neither DNSSEC nor MTA-STS vouches for mx\.t\.example as an exchanger of t\.example, which REQUIRETLS demands\. \(#5\.7\.30\)/,
    )
    assert.deepEqual(unknown.connections, [0])
    await unknown.close()
    const vouched = [
      (await PolicyWorld.of(ca, [exchanger])).sts('testing', 'mx.t.example'),
      (await PolicyWorld.of(ca, [exchanger])).sts('enforce', 'mx.t.example'),
      await PolicyWorld.of(ca, [{ ...exchanger, tlsaHosts: [] }]),
      (await PolicyWorld.of(ca, [{ ...exchanger, tlsaHosts: ['mx.t.example'] }])).tlsa(0, tlsaRecord(3, 1, good.cert)),
    ]
    for (const world of vouched) {
      assert.match(await world.send(requireTls), /^K127/)
      await world.close()
    }
  })

  it('waits where nobody can tell now whether there is a policy', async () => {
    const world = await PolicyWorld.of(ca, [exchanger])
    world.rig.dns.texts.set('_mta-sts.t.example', { kind: 'soft', why: 'time-out' })
    assert.match(await world.send(requireTls), /^Z.*\(#4\.7\.30\)/)
    await world.close()
  })

  it('is not given up for one exchanger while another may do later', async () => {
    const away = { name: 'mx2.t.example', script: passesOn, tlsaHosts: [] }
    const world = await PolicyWorld.of(ca, [exchanger, away])
    await world.servers[1]?.close()
    world.rig.targets.reverse()
    assert.match(await world.send(requireTls), /^Z/)
    world.rig.close()
    await world.servers[0]?.close()
  })
})

describe('TLS-Required: No', { skip }, () => {
  const name = 'mx.t.example'
  const exchanger = { name, tlsaHosts: [name], script: inTls(good) }

  it('lets a message go in spite of DANE and MTA-STS, and only where they keep it', async () => {
    const content = 'Subject: report\nTLS-Required:  no\n\nTLS-Required: No\n'
    for (const publish of [
      (world: PolicyWorld) => world.tlsa(0, tlsaRecord(3, 1, own.cert)),
      (world: PolicyWorld) => world.sts('enforce', 'other.example'),
    ]) {
      const world = await PolicyWorld.of(ca, [exchanger])
      publish(world)
      assert.match(await world.send(new Map(), 'r@t.example', content), /^K127/)
      const counted = world.rig.sessions.filter(({ result }) => result === 'success')
      assert.deepEqual(counted, [], 'the session is not counted')
      await world.close()
    }
  })

  it('is no part of the body, nothing else, nothing twice, and less than REQUIRETLS', async () => {
    const cases: [string, ReadonlyMap<string, string>][] = [
      ['Subject: x\n\nTLS-Required: No\n', new Map()],
      ['TLS-Required: Yes\n\n', new Map()],
      ['TLS-Required: No\nTLS-Required: No\n\n', new Map()],
      ['TLS-Required: No\n\n', new Map([['REQUIRETLS', '']])],
    ]
    for (const [content, params] of cases) {
      const world = await PolicyWorld.of(ca, [exchanger])
      world.tlsa(0, tlsaRecord(3, 1, own.cert))
      assert.match(await world.send(params, 'r@t.example', content), /^Z.*no TLSA record matches/)
      assert.equal(world.envelopes, 0)
      await world.close()
    }
  })
})
