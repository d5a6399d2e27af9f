/** Programs that people send with, each on 587 and 465 as far as it can, with each mechanism that it has. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { run } from '#test/kit/instance.ts'
import { login, type LoginInstance, python } from '#test/kit/login-instance.ts'
import { without, withoutPerlModule } from '#test/kit/tool.ts'

const { user, password } = login

/** What a program hands in: without From, Date and Message-ID, and with somebody whom nobody is to know of. */
function message(subject: string): string {
  return `To: demo\nBcc: hidden@elsewhere.test\nSubject: ${subject}\n\n.dot of ${subject}\n`
}

/** What became of it. */
export async function assertArrived(
  { arrived }: LoginInstance,
  subject: string,
  body = `.dot of ${subject}`,
): Promise<void> {
  const content = await arrived(subject)
  const header = content.slice(0, content.indexOf('\n\n') + 1)
  assert.match(header, /^Return-Path: <demo@quaver\.test>\n/)
  assert.match(header, /^From: .*demo@quaver\.test/m)
  assert.match(header, /^To: .*demo@quaver\.test/m)
  assert.match(header, /^Date: ([A-Z][a-z]{2}, {1,2})?\d\d? [A-Z][a-z]{2} \d{4} [\d:]{8} [+-]\d{4}( \(\w+\))?$/m)
  assert.match(header, /^Message-ID: <[^<>\n]+>$/im)
  assert.match(header, /^Received: \(ucspitls acceptutils authup demo@quaver\.test TLSv1\.[23] \S+\); [\w: ]+ -0000$/m)
  assert.doesNotMatch(header, /^bcc:|hidden@elsewhere\.test/im)
  const trace = header.split(/\n(?=\S)/).filter((field) => field.startsWith('Received:'))
  assert.doesNotMatch(trace.join(), /127\.0\.0\.1|client\.test/)
  // Some add an empty line.
  assert.equal(content.slice(header.length + 1).trimEnd(), body)
}

async function sent(
  world: LoginInstance,
  subject: string,
  file: string,
  args: readonly string[],
  input = message(subject),
  body?: string,
): Promise<void> {
  const { code, stdout, stderr } = await run(file, args, input)
  assert.equal(code, 0, stdout + stderr)
  await assertArrived(world, subject, body)
}

export function sendingPrograms(world: () => LoginInstance): void {
  const port = (name: 'submission' | 'submissions'): string => String(world().quaver.portOf(name))
  const ports = [
    ['587', 'submission'],
    ['465', 'submissions'],
  ] as const

  for (const [number, name] of ports) {
    for (const mechanism of ['plain', 'login', 'scram-sha-256']) {
      it(`msmtp on ${number} with ${mechanism}`, { skip: without('msmtp') }, async () => {
        const file = join(world().quaver.home, 'msmtprc')
        const settings = ['account default', 'host 127.0.0.1', `port ${port(name)}`, 'domain client.test']
        settings.push('tls on', `tls_starttls ${name === 'submission' ? 'on' : 'off'}`)
        settings.push(`tls_trust_file ${world().caFile}`, `auth ${mechanism}`, `user ${user}`, `password ${password}`)
        settings.push(`from ${user}`, 'remove_bcc_headers off', '')
        await writeFile(file, settings.join('\n'), { mode: 0o600 })
        await sent(world(), `msmtp ${mechanism} ${number}`, 'msmtp', [`--file=${file}`, user])
      })
    }

    it(`mutt on ${number}`, { skip: without('mutt') }, async () => {
      const file = join(world().quaver.home, 'muttrc')
      const scheme = name === 'submission' ? 'smtp' : 'smtps'
      const settings = [
        `smtp_url="${scheme}://${user}@localhost:${port(name)}/"`,
        `smtp_pass="${password}"`,
        `from="${user}"`,
        `certificate_file="${world().caFile}"`,
        'copy=no',
      ]
      await writeFile(file, settings.map((one) => `set ${one}\n`).join(''))
      const subject = `mutt ${number}`
      await sent(world(), subject, 'mutt', ['-n', '-F', file, '-s', subject, user], `.dot of ${subject}\n`)
    })

    for (const mechanism of ['PLAIN', 'LOGIN']) {
      const skip = without('swaks') || withoutPerlModule('Net::SSLeay')
      it(`swaks on ${number} with ${mechanism}`, { skip }, async () => {
        const args = ['--server', '127.0.0.1', '--port', port(name), '--helo', 'client.test', '--from', user]
        args.push(name === 'submission' ? '-tls' : '-tlsc', '--tls-verify', '--tls-ca-path', world().caFile)
        args.push('--auth', mechanism, '--auth-user', user, '--auth-password', password, '--to', user)
        const subject = `swaks ${mechanism} ${number}`
        await sent(world(), subject, 'swaks', [...args, '--data', message(subject)])
      })

      it(`curl on ${number} with ${mechanism}`, { skip: without('curl') }, async () => {
        const subject = `curl ${mechanism} ${number}`
        const file = join(world().quaver.home, subject)
        await writeFile(file, message(subject).replaceAll('\n', '\r\n'))
        const url = `${name === 'submission' ? 'smtp' : 'smtps'}://localhost:${port(name)}/client.test`
        const args = ['-sS', '--ssl-reqd', '--cacert', world().caFile, '--url', url, '-u', `${user}:${password}`]
        args.push('--login-options', `AUTH=${mechanism}`, '--mail-from', user, '--mail-rcpt', user, '-T', file)
        await sent(world(), subject, 'curl', args)
      })

      it(`s-nail on ${number} with ${mechanism}`, { skip: without('s-nail') }, async () => {
        const scheme = name === 'submission' ? 'smtp' : 'smtps'
        const mta = `${scheme}://${encodeURIComponent(user)}:${password}@localhost:${port(name)}`
        const settings = ['v15-compat', 'sendwait', `from=${user}`, `mta=${mta}`, 'hostname=client.test']
        settings.push('tls-verify=strict', `tls-ca-file=${world().caFile}`, 'tls-ca-no-defaults', 'smtp-use-starttls')
        settings.push(`smtp-auth=${mechanism.toLowerCase()}`)
        const subject = `s-nail ${mechanism} ${number}`
        const args = ['-:/', ...settings.map((one) => `-S${one}`), '-s', subject, user]
        await sent(world(), subject, 's-nail', args, `.dot of ${subject}\n`)
      })

      it(`python smtplib on ${number} with ${mechanism}`, { skip: without('python3') }, async () => {
        const subject = `smtplib ${mechanism} ${number}`
        await python(smtplib, name, port(name), world().caFile, user, password, mechanism, message(subject))
        await assertArrived(world(), subject)
      })
    }
  }

  for (const mechanism of ['CRAM-MD5', 'DIGEST-MD5']) {
    const skip =
      without('swaks') || withoutPerlModule('Net::SSLeay') || withoutPerlModule('Digest::MD5', 'Authen::SASL')
    it(`swaks with ${mechanism} is told that there is none`, { skip }, async () => {
      const args = ['--server', '127.0.0.1', '--port', port('submission'), '-tls', '--auth', mechanism]
      args.push('--auth-user', user, '--auth-password', password, '--to', user)
      const { code, stdout, stderr } = await run('swaks', args)
      assert.equal(code, 28, stdout)
      assert.match(stderr, /requested type not available/)
    })
  }

  it('python smtplib is told whose name it may not use, on the envelope and in the header', {
    skip: without('python3'),
  }, async () => {
    const { quaver, caFile } = world()
    const bob = 'bob@quaver.test'
    const added = await quaver.quaverWith("bob's own\n", 'account', 'add', bob, '--password-stdin')
    assert.equal(added.code, 0, added.stderr)
    const refused = '553 at MAIL\n554 at DATA\n554 at DATA\n554 at DATA\n'
    assert.equal(await python(otherNames, port('submission'), caFile, user, password, bob), refused)
    assert.equal(await python(otherNames, port('submission'), caFile, bob, "bob's own", user), refused)
  })

  it('nobody sends to a server whose certificate is of no authority of his', { skip: without('msmtp') }, async () => {
    const args = ['--host=127.0.0.1', `--port=${port('submission')}`, '--tls=on', '--auth=off', `--from=${user}`, user]
    const { code, stderr } = await run('msmtp', args, message('not verified'))
    assert.notEqual(code, 0)
    assert.match(stderr, /certificate/)
  })
}

const smtplib = `import smtplib, ssl, sys
name, port, ca, user, password, mechanism, message = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if name == 'submissions':
    client = smtplib.SMTP_SSL('127.0.0.1', int(port), local_hostname='client.test', timeout=25, context=context)
else:
    client = smtplib.SMTP('127.0.0.1', int(port), local_hostname='client.test', timeout=25)
    client.starttls(context=context)
client.ehlo()
client.user, client.password = user, password
client.auth(mechanism, getattr(client, 'auth_' + mechanism.lower()))
client.sendmail(user, [user], message)
client.quit()`

/** Each way to send in another's name, and what was said to it. */
const otherNames = `import smtplib, ssl, sys
port, ca, user, password, other = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
def told(sender, text):
    try:
        with smtplib.SMTP('127.0.0.1', int(port), local_hostname='client.test', timeout=25) as client:
            client.starttls(context=context)
            client.login(user, password)
            client.sendmail(sender, [user], text)
            return 'sent'
    except smtplib.SMTPSenderRefused as error:
        return '%d at MAIL' % error.smtp_code
    except smtplib.SMTPDataError as error:
        return '%d at DATA' % error.smtp_code
print(told(other, 'Subject: x\\n\\n'))
print(told(user, 'From: %s\\n\\n' % other))
print(told(user, 'From: %s\\nSender: %s\\n\\n' % (user, other)))
print(told('', 'From: %s\\n\\n' % other))`
