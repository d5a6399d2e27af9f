/** Accounts, aliases and quotas as a person handles them, against a whole Quaver. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { toText } from '../../src/base/byte-string.ts'
import { everyService, Instance, launcher, run, until } from '../kit/instance.ts'
import { SmtpClient } from '../kit/smtp-client.ts'

describe('accounts from outside', { concurrency: false }, () => {
  let quaver: Instance
  before(async () => {
    quaver = await Instance.start({ services: everyService })
  })
  after(() => quaver.end())

  const ok = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await quaver.quaver(...args)
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
    return stdout
  }
  const fails = async (expected: RegExp, ...args: readonly string[]): Promise<void> => {
    const { code, stderr } = await quaver.quaver(...args)
    assert.notEqual(code, 0)
    assert.match(stderr, expected)
  }
  const inbox = (name: string): string[] => readdirSync(join(quaver.home, `mail/people.test/${name}/Maildir/new`))
  const arrives = (name: string, count: number): Promise<true> =>
    until(`${count} messages for ${name}`, 20_000, () => Promise.resolve(inbox(name).length >= count || undefined))
  const send = (to: string, text = 'hello'): Promise<unknown> =>
    quaver.quaverWith(`Subject: x\n\n${text}\n`, 'send', to)

  it('a domain, accounts, aliases and a catch-all work at once, without a restart', async () => {
    await ok('domain', 'add', 'people.test')
    await ok('account', 'add', 'anna@people.test')
    await ok('account', 'add', 'bob@people.test', '--quota', '20K')
    await ok('alias', 'add', 'both@people.test', 'anna@people.test', 'bob@people.test')
    await ok('alias', 'add', '@people.test', 'bob@people.test')
    await send('both@people.test')
    await send('anybody@people.test')
    await send('abuse@people.test')
    await send('anna+tag@people.test')
    await arrives('anna', 3)
    await arrives('bob', 2)
    const listed = JSON.parse(await ok('alias', 'list', '--json')) as { address: string; targets: string[] }[]
    assert.deepEqual(listed.find(({ address }) => address === 'both@people.test')?.targets, [
      'anna@people.test',
      'bob@people.test',
    ])
  })

  it('a name without a domain is not taken for an account that has one, and no short password silently', async () => {
    const passwd = readFileSync(join(quaver.home, 'auth/passwd'), 'latin1')
    for (const command of ['password', 'disable', 'enable'])
      await fails(/write the whole address: anna@people\.test/, 'account', command, 'anna')
    for (const [input, expected] of [
      ['a\n', /1 characters can be guessed/],
      ['caf\xe9caf\xe9\n', /not UTF-8/],
    ] as const) {
      const { code, stderr } = await run(
        launcher,
        ['account', 'password', 'anna@people.test', '--password-stdin', '--home', quaver.home],
        Buffer.from(input, 'latin1'),
      )
      assert.equal(code, 1)
      assert.match(stderr, expected)
    }
    assert.equal(readFileSync(join(quaver.home, 'auth/passwd'), 'latin1'), passwd)
  })

  it('what the system refuses is said in a line, not as a stack', async () => {
    const { code, stderr } = await run(launcher, ['account', 'list', '--home', '/etc/passwd'])
    assert.equal(code, 1)
    assert.doesNotMatch(stderr, /\n +at /)
  })

  it('a line of users/assign written by hand counts once compiled, and its mailbox can have a password', async () => {
    const assign = join(quaver.home, 'users/assign')
    const assigned = readFileSync(assign, 'latin1')
    const line = /^=people\.test-anna:.*$/m.exec(assigned)?.[0] ?? ''
    await fails(/hand@people\.test is no account/, 'account', 'password', 'hand@people.test')
    await fails(/is an alias and has no password: it leads to/, 'account', 'password', 'both@people.test')
    writeFileSync(
      assign,
      `${line.replace('-anna:', '-hand:').replace('/mail/people.test/anna:', '/hand:')}\n${assigned}`,
      'latin1',
    )
    assert.match(await ok('account', 'compile'), /assign counts now: records \d+/)
    assert.match(await ok('account', 'password', 'hand@people.test'), /hand@people\.test has a new password/)
    const of = /^=people\.test-hand:[^:]*:(\d+):(\d+):([^:]*)/m.exec(readFileSync(assign, 'latin1')) ?? []
    const [, uid, gid, directory] = of
    const exportedLine = new RegExp(`^hand@people\\.test:\\{ARGON2ID\\}[^:]+:${uid}:${gid}::${directory}::$`, 'm')
    assert.match(await ok('account', 'export', '--dovecot'), exportedLine)
    const shown = JSON.parse(await ok('account', 'show', 'hand@people.test', '--json')) as Record<string, unknown>
    assert.deepEqual([shown['home'], shown['hasPassword'], shown['disabled']], [directory, true, false])
    assert.match(await ok('account', 'quota', 'hand@people.test'), /^hand@people\.test: .*no quota/)
    assert.match(await ok('account', 'disable', 'hand@people.test'), /is disabled/)
    assert.doesNotMatch(await ok('account', 'export', '--dovecot'), /hand@/)
    writeFileSync(assign, 'no line\n.\n')
    await fails(/bad format in users\/assign: line 1 .*; users\/cdb is as it was/, 'account', 'compile')
    writeFileSync(assign, assigned, 'latin1')
    await ok('account', 'compile')
    await fails(/hand@people\.test is no account/, 'account', 'password', 'hand@people.test')
  })

  it('a full mailbox is told at RCPT, and what passes bounces with the reason', async () => {
    await send('bob@people.test', 'x'.repeat(20_000))
    await until('the bounce', 20_000, async () =>
      (await quaver.log()).includes('Sorry,_this_mailbox_is_full.') ? true : undefined,
    )
    assert.equal(inbox('bob').length, 2)
    // Counted just now, and there is room for nothing more.
    const size = join(quaver.home, 'mail/people.test/bob/Maildir/maildirsize')
    writeFileSync(size, '20480S\n20480 2\n')
    const client = await SmtpClient.greeted(quaver.smtpPort)
    await client.command('MAIL FROM:<a@client.test>', 250)
    const full = await client.command('RCPT TO:<bob@people.test>', 452)
    assert.deepEqual(full.lines, ['4.2.2 sorry, that mailbox is full, try again later (#4.2.2)'])
    await client.command('RCPT TO:<anna@people.test>', 250)
    await client.quit()
    const explained = await ok(
      'smtp',
      'explain',
      '--ip',
      '127.0.0.1',
      '--from',
      'a@client.test',
      '--to',
      'bob@people.test',
    )
    assert.match(explained, /maildirsize/)
    await ok('account', 'quota', 'bob@people.test', 'none')
    await send('bob@people.test', 'x'.repeat(30_000))
    await arrives('bob', 3)
  })

  it('show says what to type and how the account stands', async () => {
    await ok('account', 'disable', 'anna@people.test')
    await ok('account', 'password', 'anna@people.test', '--app', 'phone')
    const shown = JSON.parse(await ok('account', 'show', 'anna@people.test', '--json')) as Record<string, unknown>
    assert.equal(shown['server'], 'quaver.test')
    assert.deepEqual([shown['disabled'], shown['apps'], shown['quota']], [true, ['phone'], null])
    assert.deepEqual(shown['aliases'], [
      'postmaster@people.test',
      'abuse@people.test',
      'hostmaster@people.test',
      'both@people.test',
    ])
    const text = await ok('account', 'show', 'anna@people.test')
    for (const expected of ['SSL/TLS', 'STARTTLS', 'send (SMTP)', 'fetch (POP3)', 'phone', 'disabled', '127.0.0.1'])
      assert.ok(text.includes(expected), expected)
    await ok('account', 'enable', 'anna@people.test')
    await fails(/has no app password 'tablet'/, 'account', 'password', 'anna@people.test', '--remove-app', 'tablet')
    await ok('account', 'password', 'anna@people.test', '--remove-app', 'phone')
    assert.ok(!readFileSync(join(quaver.home, 'auth/passwd'), 'utf8').includes('phone'))
  })

  it('what goes is gone, and asks first where there is no way back', async () => {
    await fails(/give --yes/, 'account', 'remove', 'anna@people.test', '--delete-mail')
    await ok('alias', 'add', 'far@people.test', 'anna@people.test', 'söhne@elsewhere.test')
    await ok('alias', 'add', 'far@quaver.test', 'bob@people.test', 'söhne@elsewhere.test')
    const removed = await ok('account', 'remove', 'anna@people.test', '--delete-mail', '--yes', '--json')
    const { aliases: changed } = JSON.parse(toText(removed)) as { aliases: { address: string; targets: string[] }[] }
    assert.deepEqual(changed.find(({ address }) => address === 'far@people.test')?.targets, ['söhne@elsewhere.test'])
    assert.deepEqual(readdirSync(join(quaver.home, 'mail/people.test')).sort(), ['.aliases', 'bob'])
    await fails(/people\.test has 1 account/, 'domain', 'remove', 'people.test')
    assert.match(
      toText(await ok('domain', 'remove', 'people.test', '--accounts', '--yes')),
      /alias far@quaver\.test leads to söhne@elsewhere\.test now/,
    )
    const left = JSON.parse(await ok('domain', 'list', '--json')) as { domain: string; accounts: number }[]
    assert.deepEqual(
      left.map(({ domain, accounts }) => [domain, accounts]),
      [['quaver.test', 1]],
    )
    const aliases = JSON.parse(await ok('alias', 'list', '--json')) as { address: string }[]
    assert.ok(aliases.every(({ address }) => address.endsWith('@quaver.test')))
    await fails(/people\.test is not hosted here/, 'dns', 'people.test')
  })
})
