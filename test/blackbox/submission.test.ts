/** Mail programs log in and send; what arrives is in order, and in nobody else's name. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  type CommandResult,
  demoAddress,
  demoPassword,
  everyService,
  Instance,
  type LoginPort,
  run,
} from '#test/kit/instance.ts'
import { without } from '#test/kit/tool.ts'

const bob = 'bob@quaver.test'
const bobsPassword = 'another-password-for-tests'

describe('mail programs that log in', { concurrency: false }, () => {
  let instance: Instance
  before(async () => {
    instance = await Instance.start({ services: everyService })
    const added = await instance.quaverWith(`${bobsPassword}\n`, 'account', 'add', bob, '--password-stdin')
    assert.equal(added.code, 0, added.stderr)
  })
  after(() => instance.end())

  const port = (name: LoginPort): string => String(instance.portOf(name))
  const message = (subject: string): string =>
    `From: Demo <${demoAddress}>\nTo: demo\nBcc: secret@far.example\nSubject: ${subject}\n\n.dot of ${subject}\n`

  /** Checks what cleaning owes to every message. */
  async function arrived(subject: string): Promise<string> {
    const found = await instance.message((content) => content.includes(`Subject: ${subject}\n`), `what ${subject} sent`)
    const text = found.toString('latin1')
    assert.match(text, /^Received: \(ucspitls acceptutils authup demo@quaver\.test TLSv1\.[23] \w+\); /m)
    assert.match(text, /^Return-Path: <demo@quaver\.test>\n/)
    assert.match(text, /^Message-ID: /im)
    assert.match(text, /^To: .*demo@quaver\.test/m)
    assert.doesNotMatch(text, /secret@far|Bcc|127\.0\.0\.1/)
    assert.ok(text.includes(`\n.dot of ${subject}\n`))
    return text
  }

  const swaks = (name: LoginPort, tls: string, mechanism: string, data: string): Promise<CommandResult> =>
    run('swaks', [
      ...['--server', '127.0.0.1', '--port', port(name), tls, '--auth', mechanism, '--timeout', '20'],
      ...['--auth-user', demoAddress, '--auth-password', demoPassword],
      ...['--from', demoAddress, '--to', demoAddress, '--data', data],
    ])

  for (const mechanism of ['PLAIN', 'LOGIN'])
    it(`swaks with ${mechanism}`, { skip: without('swaks') }, async () => {
      const subject = `swaks ${mechanism}`
      const result = await swaks('submission', '-tls', mechanism, message(subject))
      assert.equal(result.code, 0, result.stdout + result.stderr)
      await arrived(subject)
    })

  it('swaks by TLS from the first byte', { skip: without('swaks') }, async () => {
    const result = await swaks('submissions', '-tlsc', 'PLAIN', message('swaks tls'))
    assert.equal(result.code, 0, result.stdout + result.stderr)
    await arrived('swaks tls')
  })

  it('msmtp', { skip: without('msmtp') }, async () => {
    const args = [
      '--host=127.0.0.1',
      `--port=${port('submission')}`,
      '--tls=on',
      '--tls-starttls=on',
      '--tls-certcheck=off',
    ]
    args.push('--auth=plain', `--user=${demoAddress}`, `--passwordeval=echo ${demoPassword}`, `--from=${demoAddress}`)
    const result = await run('msmtp', [...args, '--domain=client.test', demoAddress], message('msmtp'))
    assert.equal(result.code, 0, result.stderr)
    await arrived('msmtp')
  })

  it('curl', { skip: without('curl') }, async () => {
    const file = join(instance.home, 'curl-message')
    await writeFile(file, message('curl').replaceAll('\n', '\r\n'))
    const args = ['-sS', '--ssl-reqd', '--insecure', '--url', `smtp://127.0.0.1:${port('submission')}/client.test`]
    args.push('--user', `${demoAddress}:${demoPassword}`, '--mail-from', demoAddress, '--mail-rcpt', 'demo')
    const result = await run('curl', [...args, '-T', file])
    assert.equal(result.code, 0, result.stderr)
    await arrived('curl')
  })

  it('s-nail', { skip: without('s-nail') }, async () => {
    const url = `submission://${encodeURIComponent(demoAddress)}:${demoPassword}@127.0.0.1:${port('submission')}`
    const settings = [
      'v15-compat',
      `mta=${url}`,
      'smtp-use-starttls',
      'smtp-config=plain',
      'tls-verify=ignore',
      `from=${demoAddress}`,
    ]
    const args = ['-:/', ...settings.flatMap((setting) => ['-S', setting]), '-s', 's-nail', demoAddress]
    const result = await run('s-nail', args, '.dot of s-nail\n')
    assert.equal(result.code, 0, result.stderr)
    await arrived('s-nail')
  })

  it('python smtplib, which verifies the certificate, and is told whose name it may not use', {
    skip: without('python3'),
  }, async () => {
    const program = `import smtplib, ssl, sys
port, user, password, other, certificate = int(sys.argv[1]), *sys.argv[2:6]
context = ssl.create_default_context(cafile=certificate)
def told(sender, text):
    try:
        with smtplib.SMTP('127.0.0.1', port, local_hostname='client.test', timeout=20) as client:
            client._host = 'quaver.test'
            client.starttls(context=context)
            client.login(user, password)
            client.sendmail(sender, [user], text)
            return 'sent'
    except smtplib.SMTPSenderRefused as error:
        return '%d at MAIL' % error.smtp_code
    except smtplib.SMTPDataError as error:
        return '%d at DATA' % error.smtp_code
print(told(user, sys.stdin.read()))
print(told(other, 'Subject: x\\n\\n'))
print(told(user, 'From: %s\\n\\n' % other))
print(told(user, 'From: %s\\nSender: %s\\n\\n' % (user, other)))
print(told('', 'From: %s\\n\\n' % other))`
    const says = async (user: string, password: string, other: string, text: string): Promise<string> => {
      const certificate = join(instance.home, 'tls/cert.pem')
      const args = ['-c', program, port('submission'), user, password, other, certificate]
      const result = await run('python3', args, text)
      assert.equal(result.code, 0, result.stderr)
      return result.stdout
    }
    const refused = '553 at MAIL\n554 at DATA\n554 at DATA\n554 at DATA\n'
    assert.equal(await says(demoAddress, demoPassword, bob, message('smtplib')), `sent\n${refused}`)
    await arrived('smtplib')
    assert.equal(await says(bob, bobsPassword, demoAddress, message('by bob')), `554 at DATA\n${refused}`)
  })
})
