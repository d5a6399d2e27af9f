/** Mail goes in by the programs people use and comes out in the demo's Maildir. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { demoAddress, Instance, run } from '#test/kit/instance.ts'
import { without } from '#test/kit/tool.ts'

const sender = 'someone@client.test'

describe('clients', { concurrency: false }, () => {
  let instance: Instance
  before(async () => {
    instance = await Instance.start()
  })
  after(() => instance.end())

  const arrived = (subject: string): Promise<Buffer> =>
    instance.message((content) => content.includes(`Subject: ${subject}\n`), `the message of ${subject}`)
  const message = (subject: string): string =>
    `From: ${sender}\nTo: ${demoAddress}\nSubject: ${subject}\n\n.dot of ${subject}\n`

  it('swaks', { skip: without('swaks') }, async () => {
    const args = ['--server', '127.0.0.1', '--port', String(instance.smtpPort), '--helo', 'client.test']
    const result = await run('swaks', [...args, '--from', sender, '--to', demoAddress, '--data', message('swaks')])
    assert.equal(result.code, 0, result.stdout + result.stderr)
    assert.ok((await arrived('swaks')).includes('\n.dot of swaks\n'))
  })

  it('curl', { skip: without('curl') }, async () => {
    const file = join(instance.home, 'curl-message')
    await writeFile(file, message('curl').replaceAll('\n', '\r\n'))
    const url = `smtp://127.0.0.1:${instance.smtpPort}/client.test`
    const result = await run('curl', [
      '-sS',
      '--url',
      url,
      '--mail-from',
      sender,
      '--mail-rcpt',
      demoAddress,
      '-T',
      file,
    ])
    assert.equal(result.code, 0, result.stderr)
    assert.ok((await arrived('curl')).includes('\n.dot of curl\n'))
  })

  for (const tls of ['off', 'on']) {
    it(`msmtp with TLS ${tls}`, { skip: without('msmtp') }, async () => {
      const args = [
        '--host=127.0.0.1',
        `--port=${instance.smtpPort}`,
        `--from=${sender}`,
        '--auth=off',
        '--domain=client.test',
      ]
      args.push(`--tls=${tls}`, '--tls-certcheck=off', demoAddress)
      const result = await run('msmtp', args, message(`msmtp ${tls}`))
      assert.equal(result.code, 0, result.stderr)
      assert.ok((await arrived(`msmtp ${tls}`)).includes(`\n.dot of msmtp ${tls}\n`))
    })
  }

  it('python smtplib', { skip: without('python3') }, async () => {
    const program = `import smtplib, sys
client = smtplib.SMTP('127.0.0.1', int(sys.argv[1]), local_hostname='client.test', timeout=20)
client.sendmail(sys.argv[2], [sys.argv[3]], sys.stdin.read())
client.quit()`
    const args = ['-c', program, String(instance.smtpPort), sender, demoAddress]
    const result = await run('python3', args, message('smtplib'))
    assert.equal(result.code, 0, result.stderr)
    assert.ok((await arrived('smtplib')).includes('\n.dot of smtplib\n'))
  })

  it('openssl s_client after STARTTLS', { skip: without('openssl') }, async () => {
    const args = [
      's_client',
      '-quiet',
      '-starttls',
      'smtp',
      '-name',
      'client.test',
      '-connect',
      `127.0.0.1:${instance.smtpPort}`,
    ]
    const replies = await converse('openssl', args, [
      ['EHLO client.test', 250],
      [`MAIL FROM:<${sender}>`, 250],
      [`RCPT TO:<${demoAddress}>`, 250],
      ['DATA', 354],
      [`Subject: openssl\r\n\r\n..dot of openssl\r\n.`, 250],
      ['QUIT', 221],
    ])
    assert.ok(!replies.includes('STARTTLS'), 'STARTTLS is not offered inside TLS (RFC 3207 section 4.2)')
    assert.match((await arrived('openssl')).toString('latin1'), /with ESMTPS [^]*\n\.dot of openssl\n$/)
  })
})

/** Line by line: the next is sent when the reply before has its last line. Returns all that was received. */
async function converse(
  file: string,
  args: readonly string[],
  dialogue: readonly (readonly [string, number])[],
): Promise<string> {
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'], timeout: 30_000 })
  let unread = ''
  let all = ''
  let wake: () => void = () => undefined
  child.stdout.on('data', (chunk: Buffer) => {
    unread += chunk.toString('latin1')
    all += chunk.toString('latin1')
    wake()
  })
  child.on('close', () => {
    unread += '000 closed\r\n'
    wake()
  })
  for (const [line, code] of dialogue) {
    unread = ''
    child.stdin.write(`${line}\r\n`)
    while (!/^\d{3} .*\r\n/m.test(unread)) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    assert.equal(Number(/^(\d{3}) /m.exec(unread)?.[1]), code, `after ${line}: ${unread}`)
  }
  child.stdin.end()
  child.kill()
  return all
}
