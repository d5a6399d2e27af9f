/** The rows of the acceptance list about receiving mail, by name, each driven through a running system; what is asked about a
 *  message is in incoming-checks.test.ts. */
import assert from 'node:assert/strict'
import { chmod, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { Authority } from '../kit/certificates.ts'
import { Edge, Visitor } from '../kit/edge.ts'
import { demoAddress, until } from '../kit/instance.ts'
import { BareClient } from '../kit/smtpd-server.ts'
import { without } from '../kit/tool.ts'

const noOpenssl = without('openssl')

async function keepTlsPrivate(home: string): Promise<void> {
  await chmod(join(home, 'tls'), 0o700)
  await chmod(join(home, 'tls/key.pem'), 0o600)
}

describe('incoming mail, with a certificate and rules', { skip: noOpenssl }, () => {
  let edge: Edge
  before(async () => {
    const authority = new Authority()
    const { cert, key } = authority.issue('quaver.test', 'DNS:quaver.test')
    authority.remove()
    edge = await Edge.start({
      files: {
        'tls/cert.pem': cert,
        'tls/key.pem': key,
        'control/listen-smtp': '127.0.0.1:2525\n[::1]:2525\n',
        'control/concurrencyincoming': '60\n',
        'control/concurrencyperip': '20\n',
        'control/tcprules/smtp': [
          '127.:allow,RELAYCLIENT=""',
          '::1:allow,RELAYCLIENT=""',
          '192.0.2.99:deny',
          '192.0.2.50:allow,QMAILQUEUE="/usr/pkg/bin/qmail-qfilter-queue",QMAILQUEUEFILTERS="control/ownfilters"',
          '192.0.2.51:allow,QMAILQUEUE="plugins/own-queue"',
          '192.0.2.52:allow,SPPCONFFILE="control/ownplugins"',
          ':allow',
          '',
        ].join('\n'),
        'control/ownfilters': 'plugins/stamp\n',
        'control/ownplugins':
          '[connection]\n:sleep 0.2; echo "SEARLY=${SSL_PROTOCOL:-clear}"\n[helo]\n:[ "$SMTPHELOHOST" != evil ] || printf "SMARK=evil\\nSRELAYCLIENT=\\n"\n[data]\n:echo "HX-Told: $EARLY ${SMTPHELOHOST-none} ${MARK-none} $SMTPRCPTTO $SMTPRCPTCOUNTALL"\n',
      },
      prepare: keepTlsPrivate,
    })
    await edge.program('stamp', '#!/bin/sh\necho "X-Stamped: for $QMAILRCPTS" | head -n 1\ncat\n')
    await edge.program(
      'own-queue',
      '#!/usr/bin/env python3\nimport os, sys\ncontent = sys.stdin.buffer.read()\nenvelope = os.read(1, 65536)\nos.write(6, b"D" + str(len(content) > 0).encode() + b" " + envelope.split(b"\\0")[0][1:])\nsys.exit(82)\n',
    )
  })
  after(() => edge.end())

  it('TLS: EHLO on 25 lists STARTTLS, and the handshake works', async () => {
    const visitor = edge.from('192.0.2.1')
    await visitor.reply()
    assert.match(await visitor.ask('EHLO me.test'), /\r\n250-STARTTLS\r\n/)
    assert.match(await visitor.ask('STARTTLS'), /^220 /)
    const secure = await visitor.bare.handshake()
    assert.match(secure.getProtocol() ?? '', /^TLSv1\.[23]$/)
    assert.doesNotMatch(await visitor.ask('EHLO me.test'), /STARTTLS/)
  })

  it('Received header with TLS: (ucspitls … TLSv1.x CIPHER); date, and absent without TLS', async () => {
    const visitor = await edge.greeted('192.0.2.1')
    await visitor.ask('STARTTLS')
    await visitor.bare.handshake()
    await visitor.ask('EHLO me.test')
    assert.match(await visitor.send('over tls'), /^250 /)
    const secret = await edge.delivered('over tls')
    assert.match(
      secret,
      /\nReceived: \(ucspitls acceptutils fixsmtpio TLSv1\.[23] [A-Z0-9_]+\); \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000\nAuthentication-Results: [^\n]*\n(?:\t[^\n]*\n)*Received: from unknown \(HELO me\.test\) \(192\.0\.2\.1\)\n {2}by \S+ with ESMTPS \(TLSv1\.[23] [A-Z0-9_]+ encrypted\);/,
    )
    assert.match(await (await edge.greeted('192.0.2.1')).send('in clear'), /^250 /)
    assert.doesNotMatch(await edge.delivered('in clear'), /ucspitls|TLS/)
  })

  it('TLS: what plug-ins learnt in clear text is forgotten, and those of the connection run twice', async () => {
    const visitor = edge.from('192.0.2.52')
    await visitor.reply()
    await visitor.ask('EHLO evil')
    await visitor.ask('STARTTLS')
    await visitor.bare.handshake()
    const relaying = ['MAIL FROM:<me@sender.test>', 'RCPT TO:<x@elsewhere.test>']
    assert.deepEqual(
      (await visitor.talk(...relaying)).map((reply) => reply.slice(0, 3)),
      ['250', '553'],
    )
    assert.match(await visitor.send('twice'), /^250 /)
    assert.match(await edge.delivered('twice'), /\nX-Told: TLSv1\.[23] none none demo@quaver\.test 1\n/)
  })

  it('IPv6: one configuration listens on ::1 and 127.0.0.1; v4 peers are plain dotted quads', async () => {
    const [, six] = await edge.listening()
    const port = Number(six?.slice(six.lastIndexOf(':') + 1))
    const direct = new Visitor(new BareClient(connect({ port, host: '::1', allowHalfOpen: true })))
    assert.match(await direct.reply(), /^220 /)
    await direct.ask('HELO six')
    assert.match(await direct.send('by six'), /^250 /)
    assert.match(await edge.delivered('by six'), /\nReceived: from unknown \(HELO six\) \(::1\)\n/)
    // As a kernel with one socket for both shows a v4 peer.
    assert.match(await (await edge.greeted('::ffff:192.0.2.7')).send('mapped'), /^250 /)
    assert.match(await edge.delivered('mapped'), /\nReceived: from unknown \(HELO visitor\.test\) \(192\.0\.2\.7\)\n/)
    await edge.logged(/ ok \d+ quaver\.test:\S+:25 :192\.0\.2\.7::40000/)
    assert.doesNotMatch(await edge.instance.log(), /::ffff:/)
  })

  it('sslserver from tcpserver: rules, limits and the status log', async () => {
    const denied = edge.from('192.0.2.99')
    assert.equal(await denied.bare.untilClosed(20_000), '')
    const visitors = await Promise.all(Array.from({ length: 20 }, () => edge.greeted('192.0.2.2')))
    assert.match(await edge.from('192.0.2.2').reply(), /^421 too many connections from your address/)
    for (const visitor of visitors) visitor.leave()
    await edge.logged(/ status: \d+\/60\n/)
    const served = await edge.logged(/ok \d+ quaver\.test:192\.0\.2\.25:25 :192\.0\.2\.2::40000/)
    const number = served.split(' ')[1]
    await edge.logged(new RegExp(`pid ${number} from 127\\.0\\.0\\.1\\n`))
    await edge.logged(new RegExp(`end ${number} status 0\\n`))
    await edge.logged(/deny \d+ quaver\.test:[^ ]+ :192\.0\.2\.99::40000/)
    await edge.logged(/end \d+ status 25600/)
  })

  it('Removed SMTP AUTH patch: 25 does not list AUTH, and refuses it', async () => {
    const visitor = edge.from('192.0.2.1')
    await visitor.reply()
    assert.doesNotMatch(await visitor.ask('EHLO me.test'), /AUTH/)
    assert.match(await visitor.ask('AUTH PLAIN AGEAYg=='), /^502 /)
  })

  it('qmail-qfilter-queue: one program, the list is what QMAILQUEUEFILTERS names', async () => {
    assert.match(await (await edge.greeted('192.0.2.50')).send('stamped'), /^250 /)
    assert.match(await edge.delivered('stamped'), new RegExp(`\\nX-Stamped: for ${demoAddress}\\n`))
  })

  it('QMAILQUEUE: any program takes the message, and its custom error is said', async () => {
    assert.match(await (await edge.greeted('192.0.2.51')).send('own'), /^554 (5\.3\.0 )?True me@sender\.test/)
  })

  it('rebuild outdated CDBs: a touched source is compiled, an up-to-date one is not rewritten, mode 644', async () => {
    const source = join(edge.instance.home, 'control/tcprules/smtp')
    const compiledBefore = await stat(`${source}.cdb`)
    assert.equal(compiledBefore.mode & 0o777, 0o644)
    await edge.instance.restart()
    assert.equal((await stat(`${source}.cdb`)).ino, compiledBefore.ino)
    await writeFile(source, `192.0.2.98:deny\n${await readFile(source, 'latin1')}`)
    await utimes(source, new Date(), new Date(Date.now() - 1_500))
    await until(
      'the rules compiled',
      20_000,
      async () => (await stat(`${source}.cdb`)).ino !== compiledBefore.ino || undefined,
    )
    await until('the new rule in force', 20_000, async () => {
      const visitor = edge.from('192.0.2.98')
      const heard = await visitor.bare.untilClosed(500).catch(() => 'open')
      visitor.leave()
      return heard === '' || undefined
    })
    const compiled = await edge.instance.quaver('rules', 'compile', 'smtp')
    assert.equal(compiled.code, 0, compiled.stderr)
    assert.match(await (await edge.greeted('192.0.2.1')).send('after compiling'), /^250 /)
  })
})

describe('incoming mail, with no configuration', () => {
  let edge: Edge
  before(async () => {
    const files = { 'tls/cert.pem': 'none yet\n', 'tls/key.pem': '' }
    edge = await Edge.start({ files, prepare: keepTlsPrivate }, true)
  })
  after(() => edge.end())

  it('TLS: without a usable certificate nothing is listed, STARTTLS is unknown, and services start', async () => {
    const visitor = edge.from('127.0.0.1')
    assert.match(await visitor.reply(), /^220 /)
    assert.doesNotMatch(await visitor.ask('EHLO me.test'), /STARTTLS/)
    assert.match(await visitor.ask('STARTTLS'), /^502 /)
    assert.match(await visitor.send('no certificate'), /^250 /)
    assert.doesNotMatch(await edge.delivered('no certificate'), /ucspitls/)
  })

  it('greeting delay 2 s: no byte before it for a stranger, who may not talk; at once from 127.0.0.1', async () => {
    const began = performance.now()
    const stranger = edge.from('192.0.2.1')
    const local = edge.from('127.0.0.1')
    assert.match(await local.reply(), /^220 /)
    assert.equal(stranger.bare.heard, '')
    assert.match(await stranger.reply(), /^220 /)
    assert.ok(performance.now() - began >= 2000)
    const hasty = edge.from('192.0.2.1')
    await pause(100)
    hasty.bare.say('EHLO me.test\r\n')
    assert.match(await hasty.bare.untilClosed(20_000), /^554 smtp protocol violation \(#5\.5\.1\)\r\n$/)
  })

  it('many other sensible defaults: SPF is recorded, unknown recipients are refused, zen.spamhaus.org is asked', async () => {
    edge.dns.set('9.2.0.192.zen.spamhaus.org', 'A 127.0.0.2')
    const visitor = await edge.greeted('192.0.2.1')
    assert.match(await visitor.send('by default', 'a@none.test'), /^250 /)
    assert.match(await edge.delivered('by default'), /\nReceived-SPF: none /)
    assert.match(await visitor.send('unknown', 'a@none.test', 'no-such-mailbox@quaver.test'), /^553 5\.1\.1 /)
    assert.match(await visitor.send('far', 'a@none.test', 'x@far.test'), /^553 5\.7\.1 /)
    const listed = await edge.greeted('192.0.2.9')
    assert.equal(await listed.send('listed'), '451 your address is listed by zen.spamhaus.org')
    assert.match(await (await edge.greeted('127.0.0.1')).send('relayed', 'a@b.test', demoAddress), /^250 /)
    const shown = await edge.instance.quaver('control', 'show', '--all')
    for (const line of [
      /concurrencyincoming +default: 1000/,
      /timeoutsmtpd +default: 300/,
      /databytes +default: 52428800/,
    ])
      assert.match(shown.stdout, line)
  })
})
