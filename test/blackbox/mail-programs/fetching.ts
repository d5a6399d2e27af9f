/** Programs that people fetch with, each on 110 and 995 as far as it can; and what must not change under them. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { run, until } from '#test/kit/instance.ts'
import { login, type LoginInstance, python } from '#test/kit/login-instance.ts'
import { without } from '#test/kit/tool.ts'

const { user, password } = login
const subjects = ['first to fetch', 'second to fetch'] as const

function assertWhole(fetched: string): void {
  for (const subject of subjects) {
    assert.ok(fetched.includes(`\nSubject: ${subject}\n`), subject)
    assert.ok(fetched.includes(`\n.dot of ${subject}\n`), subject)
  }
}

export function fetchingPrograms(world: () => LoginInstance): void {
  const port = (name: 'pop3' | 'pop3s'): string => String(world().quaver.portOf(name))
  const file = (name: string): string => join(world().quaver.home, name)
  const written = async (name: string, ...lines: readonly string[]): Promise<string> => {
    await writeFile(file(name), `${lines.join('\n')}\n`, { mode: 0o600 })
    return file(name)
  }
  const ports = [
    ['110', 'pop3'],
    ['995', 'pop3s'],
  ] as const

  before(async () => {
    for (const subject of subjects) {
      const message = `From: ${user}\nTo: ${user}\nSubject: ${subject}\n\n.dot of ${subject}\n`
      const { code, stderr } = await world().quaver.quaverWith(message, 'send', user)
      assert.equal(code, 0, stderr)
      await world().arrived(subject)
    }
    // As qmail-pop3d, ours leaves what came in this very second for the next session.
    await setTimeout(1100)
  })

  for (const [number, name] of ports) {
    // USER and PASS it says only to servers without SASL.
    for (const option of ['PLAIN', 'LOGIN']) {
      it(`curl on ${number} with ${option}`, { skip: without('curl') }, async () => {
        const base = `${name === 'pop3' ? 'pop3' : 'pop3s'}://localhost:${port(name)}/`
        const args = ['-sS', '--ssl-reqd', '--cacert', world().caFile, '-u', `${user}:${password}`]
        args.push('--login-options', `AUTH=${option}`)
        const listed = await run('curl', [...args, base])
        assert.equal(listed.code, 0, listed.stderr)
        const numbers = [...listed.stdout.matchAll(/^(\d+) \d+\r$/gm)].map(([, one]) => one)
        assert.ok(numbers.length >= subjects.length, listed.stdout)
        const fetched = await run('curl', [...args, ...numbers.map((one) => `${base}${one}`)])
        assert.equal(fetched.code, 0, fetched.stderr)
        assertWhole(fetched.stdout.replaceAll('\r\n', '\n'))
      })
    }

    for (const method of ['user', 'plain', 'login', 'scram-sha-256']) {
      it(`mpop on ${number} with ${method}`, { skip: without('mpop') }, async () => {
        const mailbox = file(`mpop-${number}-${method}`)
        const config = await written(
          'mpoprc',
          'account default',
          `host 127.0.0.1`,
          `port ${port(name)}`,
          'tls on',
          `tls_starttls ${name === 'pop3' ? 'on' : 'off'}`,
          `tls_trust_file ${world().caFile}`,
          `user ${user}`,
          `password ${password}`,
          `auth ${method}`,
          'keep on',
          `uidls_file ${mailbox}.uidls`,
          `delivery mbox ${mailbox}`,
        )
        const { code, stdout, stderr } = await run('mpop', [`--file=${config}`])
        assert.equal(code, 0, stdout + stderr)
        assertWhole(await readFile(mailbox, 'latin1'))
      })
    }

    it(`fetchmail on ${number}`, { skip: without('fetchmail') }, async () => {
      const home = file(`fetchmail-${number}`)
      await mkdir(home)
      const tls = name === 'pop3' ? 'sslproto "tls1.2+"' : 'ssl'
      const config = await written(
        `fetchmail-${number}/rc`,
        `poll localhost proto pop3 service ${port(name)} uidl user "${user}" password "${password}"`,
        `  ${tls} sslcertfile "${world().caFile}" sslcertck keep mda "cat >> '${home}/mailbox'"`,
      )
      const args = ['-i', 'HOME/ids', '--pidfile', 'HOME/pid'].map((one) => one.replace('HOME', home))
      const { code, stdout, stderr } = await run('env', [
        `FETCHMAILHOME=${home}`,
        ...['fetchmail', '-s', '-f', config, ...args],
      ])
      assert.equal(code, 0, stdout + stderr)
      assertWhole(await readFile(`${home}/mailbox`, 'latin1'))
    })
  }

  it('getmail on 995', { skip: without('getmail') }, async () => {
    const home = file('getmail')
    await mkdir(home)
    // getmail looks for SIGCHLD only after it has forked, and waits a minute for the signal of a child that was faster.
    const delivers = await written('getmail/deliver', `sleep 0.1; exec cat >>'${home}/mailbox'`)
    await written(
      'getmail/rc',
      '[retriever]',
      'type = SimplePOP3SSLRetriever',
      'server = localhost',
      `port = ${port('pop3s')}`,
      `username = ${user}`,
      `password = ${password}`,
      `ca_certs = ${world().caFile}`,
      '[destination]',
      'type = MDA_external',
      'path = /bin/sh',
      `arguments = ("${delivers}",)`,
      'allow_root_commands = true',
      '[options]',
      'delete = false',
    )
    const { code, stdout, stderr } = await run('getmail', [`--getmaildir=${home}`, '--rcfile=rc'])
    assert.equal(code, 0, stdout + stderr)
    assertWhole(await readFile(`${home}/mailbox`, 'latin1'))
  })

  it('s-nail on 995', { skip: without('s-nail') }, async () => {
    const settings = ['v15-compat', 'tls-verify=strict', `tls-ca-file=${world().caFile}`, 'tls-ca-no-defaults']
    const box = `pop3s://${encodeURIComponent(user)}:${password}@localhost:${port('pop3s')}`
    const args = ['-:/', ...settings.map((one) => `-S${one}`), '-R', '-f', box]
    const { code, stdout, stderr } = await run('s-nail', args, 'type *\nexit\n')
    assert.equal(code, 0, stderr)
    assertWhole(stdout)
  })

  it('python poplib on 110 and 995: unique-ids outlast a restart, what is deleted is gone', {
    skip: without('python3'),
  }, async () => {
    const ids = async (name: 'pop3' | 'pop3s', deleted = ''): Promise<string[]> =>
      JSON.parse(await python(poplib, name, port(name), world().caFile, user, password, deleted)) as string[]
    const known = await ids('pop3')
    assert.deepEqual(await ids('pop3s'), known)
    await world().quaver.restart()
    const after = await ids('pop3')
    // The restart may have brought mail of its own; nobody's id has become another.
    assert.deepEqual(after.slice(0, known.length), known)
    const [gone = ''] = known
    await ids('pop3', gone)
    const left = await until('the id gone', 5000, async () => {
      const now = await ids('pop3s')
      return now.includes(gone) ? undefined : now
    })
    assert.deepEqual(left.slice(0, known.length - 1), known.slice(1))
  })

  it('curl sends 10 MB on 465 and fetches them on 995, byte for byte', { skip: without('curl') }, async () => {
    const body = `${randomBytes(57).toString('base64')}\n`.repeat(10_000_000 / 77)
    await written('large', 'Subject: large', '', body.trimEnd())
    const crlf = ['-sS', '--crlf', '--cacert', world().caFile, '-u', `${user}:${password}`]
    const url = `smtps://localhost:${world().quaver.portOf('submissions')}/client.test`
    const sent = await run('curl', [...crlf, url, '--mail-from', user, '--mail-rcpt', user, '-T', file('large')])
    assert.equal(sent.code, 0, sent.stderr)
    const base = `pop3s://localhost:${port('pop3s')}/`
    const args = ['-sS', '--cacert', world().caFile, '-u', `${user}:${password}`]
    const number = await until('the large message', 30_000, async () => {
      const { stdout } = await run('curl', [...args, base])
      return /^(\d+) \d{8}\r$/m.exec(stdout)?.[1]
    })
    const fetched = await run('curl', [...args, `${base}${number}`, '-o', file('fetched')])
    assert.equal(fetched.code, 0, fetched.stderr)
    const text = (await readFile(file('fetched'), 'latin1')).replaceAll('\r\n', '\n')
    // As qmail-pop3d, ours ends with an empty line.
    assert.ok(text.slice(text.indexOf('\n\n') + 2) === `${body}\n`)
  })
}

/** Prints the unique-ids as JSON; deletes one. */
const poplib = `import json, poplib, ssl, sys
name, port, ca, user, password, deleted = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if name == 'pop3s':
    client = poplib.POP3_SSL('127.0.0.1', int(port), context=context, timeout=25)
else:
    client = poplib.POP3('127.0.0.1', int(port), timeout=25)
    client.stls(context)
client.user(user)
client.pass_(password)
ids = dict(reversed(line.decode().split(' ', 1)) for line in client.uidl()[1])
if deleted:
    client.dele(ids[deleted])
client.quit()
print(json.dumps(list(ids)))`
