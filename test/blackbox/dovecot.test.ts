/** IMAP today: Debian's Dovecot with the very configuration of docs/recipes/dovecot-imap.md, beside a system home. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Authority } from '#test/kit/certificates.ts'
import { launcher, root, run, until } from '#test/kit/instance.ts'
import { python } from '#test/kit/login-instance.ts'
import { deliver } from '#test/kit/smtp-client.ts'
import { without, withoutRoot } from '#test/kit/tool.ts'

const anna = 'anna@example.test'
const imapProgram = '/usr/lib/dovecot/imap'
const skip =
  withoutRoot() ||
  without('dovecot', 'openssl', 'python3') ||
  (existsSync(imapProgram) ? false : `not installed: ${imapProgram}`) ||
  withoutAccounts('mail', 'daemon', 'news', 'games', 'bin', 'dovecot', 'dovenull')

function withoutAccounts(...names: readonly string[]): string | false {
  const passwd = readFileSync('/etc/passwd', 'utf8')
  const missing = names.filter((name) => !new RegExp(`^${name}:`, 'm').test(passwd))
  return missing.length === 0 ? false : `no account ${missing.join(', ')}`
}

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
  const base = skip === false ? mkdtempSync(join(tmpdir(), 'quaver-imap-')) : ''
  const [home, place] = [join(base, 'home'), join(base, 'dovecot')]
  let imaps = 0
  let quaverProcess: ChildProcess | undefined
  let dovecot: ChildProcess | undefined
  let smtpPort = 0

  const quaver = async (input: string, ...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(launcher, [...args, '--home', home], input)
    assert.equal(code, 0, stderr)
    return stdout
  }
  /** As the recipe says; what is printed goes into the file that Dovecot reads. */
  const exported = async (): Promise<void> => writeFileSync(`${place}/quaver.passwd`, await quaver('', ...exportArgs))
  const imap = async (password: string, ...act: readonly string[]): Promise<string> =>
    await python(imaplib, String(imaps), join(home, 'ca.pem'), anna, password, ...act)

  before(async () => {
    chmodSync(base, 0o755)
    writeHome(home)
    quaverProcess = spawn(launcher, ['start', '--home', home], { stdio: ['ignore', 'ignore', logOf(home)] })
    smtpPort = await until('SMTP', 60_000, async () => {
      const { code, stdout } = await run(launcher, ['status', '--json', '--home', home])
      const status = code === 0 ? (JSON.parse(stdout) as Status) : undefined
      const isUp = status?.programs.every(({ state }) => state === 'running') === true
      return isUp ? Number(status.smtp[0]?.split(':').at(-1)) : undefined
    })
    const add = ['account', 'add', anna, '--user', 'bin', '--quota', '1M']
    await quaver('the-main-password\n', ...add, '--password-stdin')
    await quaver('the-phones-own\n', 'account', 'password', anna, '--app', 'phone', '--password-stdin')
    await quaver('the-tablets-own\n', 'account', 'password', anna, '--app', 'tablet', '--password-stdin')
    mkdirSync(place)
    await exported()
    const ports = [await freePort(), await freePort()] as const
    imaps = ports[1]
    writeFileSync(`${place}/dovecot.conf`, configuration(home, place, ports))
    dovecot = spawn('dovecot', ['-F', '-c', `${place}/dovecot.conf`], { stdio: ['ignore', 'ignore', logOf(place)] })
  })
  process.on('exit', () => {
    for (const child of [dovecot, quaverProcess]) child?.kill('SIGKILL')
  })
  after(async () => {
    const running = [dovecot, quaverProcess].filter((child) => child?.exitCode === null)
    const ended = running.map((child) => new Promise((resolve) => child?.once('exit', resolve)))
    for (const child of running) child?.kill('SIGTERM')
    await Promise.all(ended)
    if (base !== '') rmSync(base, { recursive: true, force: true })
  })

  it('what came by SMTP is read with the main password and with each app password', async () => {
    await deliver(smtpPort, {
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
    const { used } = JSON.parse(await quaver('', 'account', 'quota', anna, '--json')) as { used: { bytes: number } }
    assert.ok(used.bytes > 290_000 && used.bytes < 300_000, String(used.bytes))
    await assert.rejects(imap('the-main-password', 'append', '900000'), /OVERQUOTA/)
  })

  it('a wrong password, a password that was taken away, and a disabled account are refused', async () => {
    await assert.rejects(imap('wrong', 'fetch'), /AUTHENTICATIONFAILED/)
    await quaver('', 'account', 'password', anna, '--remove-app', 'phone')
    await exported()
    await assert.rejects(imap('the-phones-own', 'fetch'), /AUTHENTICATIONFAILED/)
    assert.match(await imap('the-tablets-own', 'fetch'), /by SMTP/)
    await quaver('', 'account', 'disable', anna)
    await exported()
    await assert.rejects(imap('the-main-password', 'fetch'), /AUTHENTICATIONFAILED/)
  })
})

const exportArgs = ['account', 'export', '--dovecot']

interface Status {
  readonly smtp: readonly string[]
  readonly programs: readonly { readonly state: string }[]
}

function writeHome(home: string): void {
  const authority = new Authority()
  const { cert, key } = authority.issue('mail.example.test', 'IP:127.0.0.1')
  const { caPem } = authority
  authority.remove()
  for (const name of ['', 'control', 'tls']) mkdirSync(join(home, name), { mode: name === 'tls' ? 0o700 : 0o755 })
  const files = {
    'control/me': 'mail.example.test\n',
    // Accounts that every system has; none of them is used by Quaver.
    'control/accounts': 'queue:mail\nsmtpd:daemon\npolicy:news\nalias:games\n',
    'control/services': 'smtp\nlocal\n',
    'control/listen-smtp': '127.0.0.1:0\n',
    'ca.pem': caPem,
    'tls/cert.pem': cert,
    'tls/key.pem': key,
  }
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(home, name), text, { mode: name.startsWith('tls/') ? 0o600 : 0o644 })
}

function logOf(directory: string): number {
  return openSync(join(directory, 'stderr'), 'a')
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

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
