/** What was sent is what is in the Maildir, byte by byte, under the lines that we put on top. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { demoAddress, Instance, run, launcher } from '#test/kit/instance.ts'
import { programOf, residentBytes, treeOf } from '#test/kit/processes.ts'
import { deliver, SmtpClient, stuffed } from '#test/kit/smtp-client.ts'

/** How much a process may grow while 150 MB go through it: whoever held the message would be over it. */
const growthBytesMax = 100_000_000

describe('bytes', { concurrency: false }, () => {
  let instance: Instance
  before(async () => {
    instance = await Instance.start({ files: { 'control/databytes': '0\n' } })
  })
  after(() => instance.end())

  /** The content without our trace lines, as it was found in the Maildir. */
  async function through(subject: string, body: string): Promise<string> {
    const content = `Subject: ${subject}\r\n\r\n${body}`
    await deliver(instance.smtpPort, { from: 'a@client.test', to: [demoAddress], content })
    return await arrived(subject)
  }

  async function arrived(subject: string): Promise<string> {
    const start = `Subject: ${subject}\n`
    const message = await instance.message((content) => content.includes(start), subject)
    const text = message.toString('latin1')
    return text.slice(text.indexOf(start) + start.length + 1)
  }

  it('every byte but NUL, CR and LF', async () => {
    const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')
    const line = bytes.replaceAll(/[\0\r\n]/g, '')
    assert.equal(await through('all-bytes', `${line}\r\n`), `${line}\n`)
  })

  it('leading dots', async () => {
    assert.equal(await through('dots', '.\r\n..\r\n.a\r\n...\r\n'), '.\n..\n.a\n...\n')
  })

  it('a line of 900 KB', async () => {
    const line = 'x'.repeat(900_000)
    assert.equal(await through('long-line', `${line}\r\nnext\r\n`), `${line}\nnext\n`)
  })

  it('no body at all, and no empty line', async () => {
    await deliver(instance.smtpPort, { from: '', to: [demoAddress], content: 'Subject: header-only\r\n' })
    assert.equal(await arrived('header-only'), '')
  })

  it('a command and a message one byte at a time', async () => {
    const client = await SmtpClient.greeted(instance.smtpPort)
    for (const byte of `MAIL FROM:<a@client.test>\r\n`) await client.raw(byte)
    await client.expect(250)
    await client.command(`RCPT TO:<${demoAddress}>`, 250)
    await client.command('DATA', 354)
    for (const byte of stuffed('Subject: bytewise\r\n\r\n.a\r\n').toString('latin1')) await client.raw(byte)
    await client.expect(250)
    await client.quit()
    assert.equal(await arrived('bytewise'), '.a\n')
  })

  it('a missing line end at the end, by way of qmail-queue', async () => {
    const script = `printf 'Subject: unended\\n\\nlast' | "$1" qmail-queue --home "$2" 1<"$3"`
    const envelope = `${instance.home}/envelope`
    await run('sh', ['-c', `printf 'Fa@client.test\\0T${demoAddress}\\0\\0' >"$1"`, 'sh', envelope])
    const result = await run('sh', ['-c', script, 'sh', launcher, instance.home, envelope])
    assert.equal(result.code, 0, result.stderr)
    assert.equal(await arrived('unended'), 'last')
  })

  it('150 MB, and no process grows by more than a bounded part of it', async (t) => {
    const line = `${'0123456789'.repeat(7)}\r\n`
    const lines = 2_082_000
    const pids = treeOf(instance.pid).map(({ pid }) => pid)
    const names = new Map(pids.map((pid) => [pid, programOf(pid)]))
    const idle = new Map(pids.map((pid) => [pid, residentBytes(pid)]))
    const peak = new Map(idle)
    let watching = true
    const watch = (async () => {
      while (watching) {
        for (const { pid } of treeOf(instance.pid)) peak.set(pid, Math.max(peak.get(pid) ?? 0, residentBytes(pid)))
        await pause(20)
      }
    })()
    const client = await SmtpClient.greeted(instance.smtpPort)
    await client.command('MAIL FROM:<a@client.test>', 250)
    await client.command(`RCPT TO:<${demoAddress}>`, 250)
    await client.command('DATA', 354)
    await client.raw('Subject: large\r\n\r\n')
    const block = Buffer.from(line.repeat(1000))
    for (let sent = 0; sent < lines; sent += 1000) await client.raw(block)
    await client.raw('.\r\n')
    await client.expect(250)
    await client.quit()
    const body = await arrived('large')
    watching = false
    await watch
    assert.equal(body.length, lines * (line.length - 1))
    assert.equal(body, line.replace('\r', '').repeat(lines))
    for (const [pid, bytes] of peak) {
      // A process that began in between had nothing before.
      const grown = bytes - (idle.get(pid) ?? Math.max(...idle.values()))
      const program = names.get(pid) ?? 'started meanwhile'
      t.diagnostic(`${program} grew by ${(grown / 1e6).toFixed(0)} MB`)
      assert.ok(grown < growthBytesMax, `${program} grew by ${grown} bytes`)
    }
  })
})
