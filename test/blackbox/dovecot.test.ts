/** IMAP today: Debian's Dovecot with the very configuration of docs/recipes/dovecot-imap.md, beside a system home. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setCredential } from '../../src/stores/credentials/credentials.ts'
import { homeAt } from '../../src/stores/home/layout.ts'
import { root, until } from '#test/kit/instance.ts'
import { python } from '#test/kit/login-instance.ts'
import { freePort } from '#test/kit/ports.ts'
import { deliver } from '#test/kit/smtp-client.ts'
import { SystemInstance, withoutSystemHome } from '#test/kit/system-instance.ts'
import { without } from '#test/kit/tool.ts'

const anna = 'anna@example.test'
const imapProgram = '/usr/lib/dovecot/imap'
const skip =
  without('dovecot', 'python3') ||
  (existsSync(imapProgram) ? false : `not installed: ${imapProgram}`) ||
  withoutSystemHome('bin', 'dovecot', 'dovenull')

/** The file of the recipe, for another home and as a second Dovecot on this machine. */
function configuration(home: string, place: string, ports: readonly [imap: number, imaps: number]): string {
  const recipe = readFileSync(join(root, 'docs/recipes/dovecot-imap.md'), 'utf8')
  const [, file = ''] = /^```\n([^]*?)^```$/m.exec(recipe) ?? []
  const own = file
    .replaceAll('/var/lib/quaver', home)
    .replaceAll('/etc/dovecot/quaver.passwd', `${place}/quaver.passwd`)
    .replace('listen = *, ::', 'listen = 127.0.0.1')
  assert.ok(own.includes(`<${home}/tls/cert.pem`) && own.includes('listen = 127.0.0.1'))
  return `${own}
base_dir = ${place}/run
state_dir = ${place}/state
instance_name = quaver-test
log_path = ${place}/log
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  inet_listener imap {
    port = ${ports[0]}
  }
  inet_listener imaps {
    port = ${ports[1]}
  }
}
`
}

describe('IMAP by Dovecot', { skip, concurrency: false }, () => {
  let system: SystemInstance | undefined
  let dovecot: ChildProcess | undefined
  let place = ''
  let imaps = 0
  const running = (): SystemInstance => system ?? assert.fail('it does not run')
  const quaver = (...args: readonly string[]): Promise<string> => running().quaver('', ...args)
  /** As the recipe says; what is printed goes into the file that Dovecot reads. */
  const exported = async (): Promise<void> =>
    writeFileSync(`${place}/quaver.passwd`, await quaver('account', 'export', '--dovecot'))
  const imap = async (password: string, ...act: readonly string[]): Promise<string> =>
    await python(imaplib, String(imaps), running().caFile, anna, password, ...act)

  /** Dovecot looks at the file at most once a second, and one login may see it as it was and as it is. */
  const refused = (password: string): Promise<true> =>
    until('the refusal', 10_000, async () => {
      const end = await imap(password, 'fetch').then(() => 'in', String)
      return end.includes('AUTHENTICATIONFAILED') || undefined
    })

  before(async () => {
    system = await SystemInstance.start('smtp', 'local')
    const add = ['account', 'add', anna, '--user', 'bin', '--quota', '1M', '--password-stdin']
    await system.quaver('the-main-password\n', ...add)
    for (const app of ['phone', 'tablet']) await setCredential(homeAt(system.home), anna, app, `the-${app}s-own`)
    place = system.beside('dovecot')
    await exported()
    const ports = [await freePort(), await freePort()] as const
    imaps = ports[1]
    writeFileSync(`${place}/dovecot.conf`, configuration(system.home, place, ports))
    const child = spawn('dovecot', ['-F', '-c', `${place}/dovecot.conf`], { stdio: 'ignore' })
    process.on('exit', () => child.kill('SIGKILL'))
    dovecot = child
  })
  after(async () => {
    if (dovecot !== undefined && dovecot.exitCode === null) {
      dovecot.kill('SIGTERM')
      await once(dovecot, 'exit')
    }
    await system?.end()
  })

  it('what came by SMTP is read with the main password and with each app password', async () => {
    await deliver(running().portOf('smtp'), {
      from: 'someone@client.test',
      to: [anna],
      content: 'Subject: by SMTP\r\n\r\n.dot of SMTP\r\n',
    })
    for (const password of ['the-main-password', 'the-phones-own', 'the-tablets-own']) {
      const text = await until(`the message by ${password}`, 30_000, async () => {
        const read = await imap(password, 'fetch').catch((error: unknown) => {
          // Dovecot itself may still be starting.
          if (String(error).includes('ConnectionRefused')) return ''
          throw error
        })
        return read.includes('Subject: by SMTP') ? read : undefined
      })
      assert.match(text, /\n\.dot of SMTP\r?\n/)
    }
  })

  it('the quota that Quaver set is Dovecot’s, and both count', async () => {
    assert.match(await imap('the-main-password', 'quota'), /STORAGE 1 1024/)
    await imap('the-main-password', 'append', '300000')
    assert.match(await imap('the-main-password', 'quota'), /STORAGE 29\d 1024/)
    const { used } = JSON.parse(await quaver('account', 'quota', anna, '--json')) as { used: { bytes: number } }
    assert.ok(used.bytes > 290_000 && used.bytes < 300_000, String(used.bytes))
    await assert.rejects(imap('the-main-password', 'append', '900000'), /OVERQUOTA/)
  })

  it('a wrong password, a password that was taken away, and a disabled account are refused', async () => {
    await refused('wrong')
    await quaver('account', 'password', anna, '--remove-app', 'phone')
    await exported()
    await refused('the-phones-own')
    assert.match(await imap('the-tablets-own', 'fetch'), /by SMTP/)
    await quaver('account', 'disable', anna)
    await exported()
    await refused('the-main-password')
  })
})

const imaplib = `import imaplib, ssl, sys
port, ca, user, password, act, *more = sys.argv[1:]
client = imaplib.IMAP4_SSL('127.0.0.1', int(port), ssl_context=ssl.create_default_context(cafile=ca), timeout=25)
client.login(user, password)
if act == 'quota':
    print(client.getquotaroot('INBOX'))
elif act == 'append':
    kind, said = client.append('INBOX', None, None, ('Subject: appended\\r\\n\\r\\n' + ('x' * 98 + '\\r\\n') * (int(more[0]) // 100)).encode())
    if kind != 'OK':
        sys.exit(str(said))
else:
    client.select('INBOX')
    for number in client.search(None, 'ALL')[1][0].split():
        print(client.fetch(number, '(RFC822)')[1][0][1].decode())
client.logout()`
