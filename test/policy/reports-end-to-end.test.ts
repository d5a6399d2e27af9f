/** DMARC reports through a whole Quaver: mail goes out and comes in, days pass, the report leaves signed, comes back, and
 *  one of others is taken. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { reportInMail } from '../../src/programs/quaver/dmarc-report-in.ts'
import { newPrivateKey, publicBytes, readPrivateKey } from '../../src/system/signatures.ts'
import { keyText } from '../../src/protocols/dkim/key-text.ts'
import { verified, zoneOf } from '../kit/dkim-message.ts'
import { Edge } from '../kit/edge.ts'
import { type Instance, until } from '../kit/instance.ts'
import { Sink } from '../kit/sink.ts'

const day = 86_400_000

/** What came today is said to have come then: for yesterday it may be too early. */
async function twoDaysAgo(instance: Instance): Promise<void> {
  await instance.stop()
  const database = new DatabaseSync(join(instance.home, 'reports/dmarc/evaluated.db'))
  database.exec('UPDATE domain_day SET day = day - 2; UPDATE evaluated SET day = day - 2')
  database.close()
  await instance.restart()
}

describe('DMARC reports, in a whole system', () => {
  let sink: Sink
  let edge: Edge
  let record = ''
  before(async () => {
    sink = await Sink.listen()
    const pem = await newPrivateKey('ed25519')
    record = keyText('ed25519', publicBytes(readPrivateKey(Buffer.from(pem))))
    edge = await Edge.start({
      relayDomains: ['mx.us.test'],
      services: ['smtp', 'local', 'remote'],
      files: {
        'control/locals': 'localhost\nmx.us.test\n',
        'control/reportaddress': 'dmarc-reports@mx.us.test\n',
        'control/dkimdomains': 'mx.us.test:q1\n',
        'control/domainkeys/mx.us.test/q1': pem,
        'control/smtproutes': `client.test:127.0.0.1:${sink.port}\n`,
      },
      async prepare(home) {
        chmodSync(join(home, 'control/domainkeys'), 0o700)
        chmodSync(join(home, 'control/domainkeys/mx.us.test'), 0o700)
        chmodSync(join(home, 'control/domainkeys/mx.us.test/q1'), 0o400)
        writeFileSync(join(home, 'alias/.qmail-dmarc-reports'), `|quaver dmarc take --home '${home}'\n./Maildir/\n`)
      },
    })
    edge.dns.set('client.test', 'TXT v=spf1 ip4:192.0.2.7 -all')
    edge.dns.set('_dmarc.client.test', 'TXT v=DMARC1; p=none; rua=mailto:agg@client.test')
  })
  after(async () => {
    await edge.end()
    await sink.close()
  })

  const owed = async (): Promise<Record<string, unknown>[]> => {
    const { stdout, stderr } = await edge.instance.quaver('dmarc', 'reports', '--pending', '--json')
    assert.equal(stderr, '')
    return JSON.parse(stdout) as Record<string, unknown>[]
  }

  it('41, 43: are owed to whom we write to, go at night, signed, and not again when they come back', async () => {
    const hello = 'From: demo@quaver.test\nSubject: hello\n\nhi\n'
    assert.equal((await edge.instance.quaverWith(hello, 'send', 'joe@client.test')).code, 0)
    await sink.count(1)
    const visitor = await edge.greeted('192.0.2.7')
    for (const line of ['MAIL FROM:<joe@client.test>', 'RCPT TO:<demo@quaver.test>', 'DATA']) await visitor.ask(line)
    assert.match(await visitor.ask('From: Joe <joe@client.test>\r\nSubject: answer\r\n\r\nhi\r\n.'), /^250 /)
    const pending = await until('the report being owed', 20_000, async () =>
      (await owed()).find((row) => row['kind'] === 'pending' && row['why'] === undefined),
    )
    assert.deepEqual([pending['domain'], pending['messages'], pending['to']], ['client.test', 1, ['agg@client.test']])
    await twoDaysAgo(edge.instance)
    await sink.count(2, 60_000)
    const report = sink.transactions[1]
    assert.deepEqual([report?.from, report?.to], ['dmarc-reports@mx.us.test', ['agg@client.test']])
    const content = report?.content.toString('latin1').replaceAll('\r\n', '\n') ?? ''
    const verdict = await verified(content, zoneOf({ 'q1._domainkey.mx.us.test': [record] }))
    assert.deepEqual(
      verdict.signatures.map(({ result, domain }) => [result, domain]),
      [['pass', 'mx.us.test']],
    )
    const read = await reportInMail(Buffer.from(content))
    assert.deepEqual(
      read.rows.map(({ ip, count, spf, dkim }) => [ip, count, spf, dkim]),
      [['192.0.2.7', 1, true, false]],
    )
    const bounce = await edge.greeted('192.0.2.7')
    for (const line of ['MAIL FROM:<>', 'RCPT TO:<dmarc-reports@mx.us.test>', 'DATA']) await bounce.ask(line)
    const id = /^Message-ID: .*$/m.exec(content)?.[0] ?? ''
    assert.match(await bounce.ask(`From: <>\r\nSubject: no such user\r\n\r\n--- Original:\r\n${id}\r\n.`), /^250 /)
    await until('the report being known to have come back', 30_000, async () =>
      (await owed()).find((row) => row['kind'] === 'sent' && row['state'] === 'failed'),
    )
  })

  it('of others are taken by the address that the record names', async () => {
    const begin = Math.floor(Date.now() / day) * 86_400
    const xml = `<feedback><report_metadata><org_name>Client</org_name><report_id>c1</report_id><date_range><begin>${begin}</begin><end>${begin + 86_399}</end></date_range></report_metadata><policy_published><domain>quaver.test</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.25</source_ip><count>4</count><policy_evaluated><dkim>pass</dkim></policy_evaluated></row></record></feedback>`
    const visitor = await edge.greeted('192.0.2.7')
    for (const line of ['MAIL FROM:<r@client.test>', 'RCPT TO:<dmarc-reports@mx.us.test>', 'DATA'])
      await visitor.ask(line)
    const base64 = gzipSync(xml).toString('base64').replace(/.{76}/g, '$&\r\n')
    const head = 'From: r@client.test\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    assert.match(await visitor.ask(`${head}${base64}\r\n.`), /^250 /)
    const shown = await until('the report in the sums', 30_000, async () => {
      const { stdout } = await edge.instance.quaver('dmarc', 'reports')
      return stdout.includes('quaver.test') ? stdout : undefined
    })
    assert.match(shown, /quaver\.test {2}\S+ to \S+: 4 messages, 100 % aligned\n1 report of client\.test\n/)
  })
})
