/** The figures for monitoring are in Prometheus' form, and say what happened. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { demoAddress, everyService, Instance, until } from '../kit/instance.ts'
import { pop3Client } from '../kit/login-client.ts'
import { deliver } from '../kit/smtp-client.ts'

describe('metrics', () => {
  let quaver: Instance
  const work = mkdtempSync(join(tmpdir(), 'quaver-metrics-'))
  before(async () => {
    quaver = await Instance.start({ services: everyService })
  })
  after(async () => {
    await quaver.end()
    rmSync(work, { recursive: true, force: true })
  })

  async function figures(): Promise<Map<string, number>> {
    const { code, stdout, stderr } = await quaver.quaver('metrics')
    assert.equal(code, 0, stderr)
    const found = new Map<string, number>()
    let family = ''
    for (const line of stdout.trimEnd().split('\n')) {
      const comment = /^# (?:HELP (\w+) \S.*|TYPE \w+ (?:gauge|counter))$/.exec(line)
      if (comment !== null) {
        family = comment[1] ?? family
        continue
      }
      const [, name, labels = '', value] = /^(\w+)(\{(?:\w+="[^"\n]*",?)+\})? ([0-9.]+)$/.exec(line) ?? []
      assert.equal(name, family, line)
      assert.ok(!found.has(`${name}${labels}`), line)
      found.set(`${name}${labels}`, Number(value))
    }
    return found
  }

  it('begins at 0', async () => {
    const found = await figures()
    for (const name of [
      'quaver_accepted_messages_total',
      'quaver_deliveries_total{channel="remote",outcome="deferral"}',
      'quaver_logins_total{result="credentials"}',
      'quaver_connections_total{program="smtpd"}',
      'quaver_queue_oldest_message_seconds',
    ])
      assert.equal(found.get(name), 0, name)
    assert.equal(found.get('quaver_up'), 1)
    for (const program of ['queue', 'smtpd', 'authd', 'pop3d'])
      assert.equal(found.get(`quaver_program_up{program="${program}"}`), 1, program)
    const [, end = 0] = [...found].find(([name]) => name.startsWith('quaver_certificate_end_seconds{')) ?? []
    assert.ok(end > Date.now() / 1000)
  })

  it('counts messages, deliveries, bounces, connections and logins', async () => {
    await deliver(quaver.smtpPort, { from: 'a@there.test', to: [demoAddress], content: 'Subject: x\r\n\r\nx\r\n' })
    const sent = await quaver.quaverWith('Subject: y\n\ny\n', 'send', '-f', demoAddress, 'nobody@localhost')
    assert.equal(sent.code, 0, sent.stderr)
    const pop3 = await pop3Client(quaver.portOf('pop3'))
    await pop3.ask(`USER ${demoAddress}`)
    await pop3.ask('PASS wrong')
    const found = await until('everything counted', 20_000, async () => {
      const now = await figures()
      return now.get('quaver_bounces_total') === 1 && now.get('quaver_queue_messages') === 0 ? now : undefined
    })
    // The bounce is a message, and is delivered.
    assert.equal(found.get('quaver_accepted_messages_total'), 3)
    assert.equal(found.get('quaver_deliveries_total{channel="local",outcome="success"}'), 2)
    assert.equal(found.get('quaver_deliveries_total{channel="local",outcome="failure"}'), 1)
    assert.equal(found.get('quaver_connections_total{program="smtpd"}'), 1)
    assert.equal(found.get('quaver_open_connections{program="pop3d"}'), 1)
    assert.equal(found.get('quaver_logins_total{result="credentials"}'), 1)
    pop3.tls.destroy()
  })

  it('goes into a file that anybody may read, and leaves nothing beside it', async () => {
    const path = join(work, 'quaver.prom')
    const { code, stdout } = await quaver.quaver('metrics', '--output', path)
    assert.deepEqual([code, stdout], [0, ''])
    assert.match(readFileSync(path, 'utf8'), /^# HELP quaver_up /)
    assert.equal(statSync(path).mode & 0o777, 0o644)
    assert.deepEqual(readdirSync(work), ['quaver.prom'])
  })

  it('says that nothing runs', async () => {
    await quaver.stop()
    const found = await figures()
    assert.equal(found.get('quaver_up'), 0)
    assert.ok(!found.has('quaver_queue_messages'))
  })
})
