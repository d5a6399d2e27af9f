import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { realFiles } from '../../system/files.ts'
import type { Secrets } from '../credentials/derive.ts'
import { type Home, homeAt } from '../home/layout.ts'
import { makeHome } from '../home/make.ts'
import { listCredentials, setCredential, setDisabled } from '../credentials/credentials.ts'
import { addAccount, type Account, listAccounts, removeAccount } from './accounts.ts'
import { parseAccountAddress } from './address.ts'
import { setAlias } from './aliases.ts'
import { newPassword } from './new-password.ts'

const owner = { user: 'me', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const phc = `$argon2id$v=19$m=8,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
const secrets: Secrets = { phc, scram: '' }
let home: Home = homeAt('/')

describe('accounts', () => {
  beforeEach(async () => {
    home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-é accounts-')))
    await makeHome(home.path, undefined)
  })
  afterEach(() => rmSync(home.path, { recursive: true, force: true }))

  const add = (address: string): Promise<void> =>
    addAccount(realFiles, home, { address: parseAccountAddress(address), owner, secrets })
  const content = (name: string): string => readFileSync(join(home.path, name), 'utf8')

  it('writes mailbox, assignment, password and domain in qmail’s own files', async () => {
    await add('Anna@Example.test')
    const mail = `me:${owner.uid}:${owner.gid}:${home.mail}/example.test/anna`
    const roles = ['postmaster', 'abuse', 'hostmaster'].map((name) => `=example.test-${name}:${mail}:::\n`).join('')
    assert.equal(
      content('users/assign'),
      `=example.test-anna:${mail}:::\n+example.test-anna-:${mail}:-::\n+example.test-anna+:${mail}:+::\n${roles}.\n`,
    )
    assert.ok(existsSync(join(home.users, 'cdb')))
    assert.equal(content('control/virtualdomains'), 'example.test:example.test\n')
    assert.equal(content('control/rcpthosts'), 'example.test\n')
    assert.equal(content('auth/passwd'), `anna@example.test::${phc}:\n`)
    assert.equal(statSync(join(home.auth, 'passwd')).mode & 0o777, 0o600)
    for (const name of ['', '/Maildir', '/Maildir/tmp', '/Maildir/new', '/Maildir/cur'])
      assert.equal(statSync(`${home.mail}/example.test/anna${name}`).mode & 0o777, 0o700)
  })

  it('keeps what an administrator wrote, and adds a domain once', async () => {
    writeFileSync(join(home.users, 'assign'), '=joe:joe:7:7:/home/joe:::\n.\nafter the end\n')
    writeFileSync(join(home.control, 'virtualdomains'), '# ours\nother.test:joe-other')
    await add('a@example.test')
    await add('b@example.test')
    assert.ok(content('users/assign').startsWith('=joe:joe:7:7:/home/joe:::\n=example.test-a:'))
    assert.equal(content('control/virtualdomains'), '# ours\nother.test:joe-other\nexample.test:example.test\n')
    assert.deepEqual(
      (await listAccounts(realFiles, home)).map(({ address, maildir, hasPassword }) => [address, maildir, hasPassword]),
      ['a', 'b'].map((name) => [`${name}@example.test`, `${home.mail}/example.test/${name}/Maildir`, true]),
    )
  })

  it('an account named postmaster takes that address over', async () => {
    await add('anna@example.test')
    await add('postmaster@example.test')
    const lines = content('users/assign')
      .split('\n')
      .filter((line) => line.startsWith('=example.test-postmaster:'))
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /\/example\.test\/postmaster:::$/)
  })

  it('refuses an account that is there, a local domain, and a domain that goes elsewhere', async () => {
    await add('a@example.test')
    const before = content('users/assign')
    await assert.rejects(add('A@EXAMPLE.test'), /a@example\.test is an account already/)
    writeFileSync(join(home.control, 'locals'), 'Here.test\n')
    await assert.rejects(add('a@here.test'), /here\.test is in control\/locals/)
    writeFileSync(join(home.control, 'virtualdomains'), 'there.test:joe\n')
    await assert.rejects(add('a@there.test'), /control\/virtualdomains sends there\.test to 'joe'/)
    assert.equal(content('users/assign'), before)
  })
})

describe('accounts, changed', () => {
  beforeEach(async () => {
    home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-é accounts-')))
    await makeHome(home.path, undefined)
  })
  afterEach(() => rmSync(home.path, { recursive: true, force: true }))

  const add = (address: string, more: Partial<Parameters<typeof addAccount>[2]> = {}): Promise<void> =>
    addAccount(realFiles, home, { address: parseAccountAddress(address), owner, secrets, ...more })
  const forward = (address: string, forwarder: typeof owner, ...targets: string[]): Promise<unknown> =>
    setAlias(realFiles, home, parseAccountAddress(address), () => targets, forwarder)
  const account = async (address: string): Promise<Account | undefined> =>
    (await listAccounts(realFiles, home)).find((one) => one.address === address)

  it('are listed with their app passwords, and whether they are disabled', async () => {
    await add('anna@example.test')
    await setCredential(home, 'anna@example.test', 'phone', 'secret words')
    await setDisabled(home, 'anna@example.test', true)
    const found = await account('anna@example.test')
    assert.deepEqual([found?.hasPassword, found?.apps, found?.disabled], [true, ['phone'], true])
  })

  it('lose assignment, extensions and passwords when removed; the mail, and what others wrote, stays', async () => {
    const foreign = '=joe:joe:7:7:/home/joe:::\n+example.test-anna-list-:joe:7:7:/home/joe:-:list-:\n'
    writeFileSync(join(home.users, 'assign'), `${foreign}.\n`)
    await add('anna@example.test')
    await add('anna-b@example.test')
    await setCredential(home, 'anna@example.test', 'phone', 'secret words')
    await removeAccount(realFiles, home, parseAccountAddress('anna-b@example.test'))
    assert.match(readFileSync(join(home.users, 'assign'), 'utf8'), /\+example\.test-anna-:/)
    assert.deepEqual(await removeAccount(realFiles, home, parseAccountAddress('anna@example.test')), [
      { address: 'postmaster@example.test', targets: [] },
      { address: 'abuse@example.test', targets: [] },
      { address: 'hostmaster@example.test', targets: [] },
    ])
    assert.equal(readFileSync(join(home.users, 'assign'), 'utf8'), `${foreign}.\n`)
    assert.equal((await listCredentials(home)).size, 0)
    assert.ok(existsSync(join(home.mail, 'example.test/anna/Maildir/new')))
    await assert.rejects(
      removeAccount(realFiles, home, parseAccountAddress('anna@example.test')),
      /anna@example\.test is no account/,
    )
    await add('anna@example.test')
    assert.ok(await account('anna@example.test'))
  })

  it('leave the addresses that every domain has to the next account', async () => {
    await add('a@example.test')
    await add('b@example.test')
    const changed = await removeAccount(realFiles, home, parseAccountAddress('a@example.test'))
    assert.deepEqual(
      changed.map(({ targets }) => targets),
      [['b@example.test'], ['b@example.test'], ['b@example.test']],
    )
  })

  it('that have a uid of their own share it with nobody, whoever comes first', async () => {
    const one = { user: 'one', uid: owner.uid, gid: owner.gid }
    await add('a@example.test', { owner: one, ownUid: true })
    assert.match(readFileSync(join(home.users, 'assign'), 'utf8'), /^=example\.test-a:.*:::own-uid$/m)
    assert.equal((await account('a@example.test'))?.ownUid, true)
    await assert.rejects(add('b@example.test', { owner: one }), /'one' is the own uid of a@example\.test/)
    await removeAccount(realFiles, home, parseAccountAddress('a@example.test'))
    await add('b@example.test', { owner: one })
    await assert.rejects(
      add('a@example.test', { owner: one, ownUid: true }),
      /'one' owns the mail of b@example\.test, too/,
    )
  })

  it('get a uid of their own only where no line of users/assign has it', async () => {
    const own = { user: 'own', uid: owner.uid, gid: owner.gid }
    writeFileSync(join(home.users, 'assign'), `=joe:joe:${owner.uid}:7:/home/joe:::\n.\n`)
    await assert.rejects(add('a@example.test', { owner: own, ownUid: true }), /'own' has a line of .*, too, '=joe:'/)
    writeFileSync(join(home.users, 'assign'), '.\n')
    await add('w@example.test', { owner: own })
    await forward('list@example.test', own, 'w@example.test', 'x@elsewhere.test')
    await removeAccount(realFiles, home, parseAccountAddress('w@example.test'))
    await assert.rejects(
      add('solo@other.test', { owner: own, ownUid: true }),
      /'own' has a line of users\/assign, too, '=example\.test-list:': --own-uid needs/,
    )
    // The alias itself gives way.
    await add('list@example.test', { owner: own, ownUid: true })
  })

  it('leave no uid of theirs to an alias when they are removed', async () => {
    const own = { user: 'own', uid: owner.uid, gid: owner.gid }
    const shared = { user: 'vmail', uid: owner.uid + 1, gid: owner.gid }
    await add('otto@example.test', { owner: own, ownUid: true })
    await forward('team@example.test', shared, 'otto@example.test', 'x@elsewhere.test', 'y@elsewhere.test')
    await removeAccount(realFiles, home, parseAccountAddress('otto@example.test'))
    const assign = readFileSync(join(home.users, 'assign'), 'utf8')
    assert.match(assign, new RegExp(`^=example\\.test-team:vmail:${shared.uid}:${shared.gid}:`, 'm'))
    assert.ok(!assign.includes(':own:'))
  })

  it('are not made where an administrator has a line, where the domain is the host itself, or begins like another', async () => {
    writeFileSync(join(home.users, 'assign'), '=example.test-list:joe:7:7:/home/joe:::\n.\n')
    await assert.rejects(add('list@example.test'), /users\/assign has a line for list@example\.test that is not ours/)
    writeFileSync(join(home.control, 'me'), 'Mail.example.test\n')
    await assert.rejects(add('a@mail.example.test'), /is this host's own name .* to control\/locals/)
    await add('a@example.test')
    await assert.rejects(add('a@example.test-two.test'), /example\.test-two\.test and example\.test begin alike/)
  })

  it('are not made anew in a home that was moved: what to do is said', async () => {
    const line = (mail: string): string => `=example.test-a:me:${owner.uid}:${owner.gid}:${mail}/example.test/a:::\n`
    writeFileSync(join(home.users, 'assign'), `${line('/srv/old home/mail')}.\n`)
    const remedy = `: if the home was moved, or is a copy: sed -i 's|:/srv/old home/mail/|:${home.mail}/|' ${home.users}/assign, then quaver account compile`
    await assert.rejects(add('a@example.test'), (error: Error) => error.message.endsWith(remedy))
    writeFileSync(join(home.users, 'assign'), `${line('/srv/other')}.\n`)
    await assert.rejects(add('a@example.test'), /that is not ours: '=example\.test-a:'$/)
  })

  it('say who owns a mailbox that is there from before', { skip: process.getuid?.() !== 0 }, async () => {
    const other = { user: 'bin', uid: 2, gid: 2 }
    chmodSync(home.path, 0o755)
    await add('a@example.test', { owner: other })
    assert.equal(statSync(join(home.mail, 'example.test/a/Maildir/new')).uid, 2)
    await removeAccount(realFiles, home, parseAccountAddress('a@example.test'))
    await assert.rejects(add('a@example.test'), /belongs to uid 2, not to me: move it away, or chown -R me/)
  })
})

describe('account addresses', () => {
  for (const bad of [
    '',
    'anna',
    '@x.test',
    'a@',
    'a:b@x.test',
    '../up@x.test',
    '.a@x.test',
    'a.@x.test',
    'a..b@x.test',
    'a/b@x.test',
    'a+b@x.test',
    'a@x_y.test',
    'a@-x.test',
    'a@x..test',
    'a\n@x.test',
    `${'a'.repeat(65)}@x.test`,
    'ä@x.test',
  ])
    it(`refuses ${JSON.stringify(bad)}`, () => assert.throws(() => parseAccountAddress(bad), { name: 'AccountError' }))
  it('folds case and splits at the last @', () => {
    assert.deepEqual(parseAccountAddress('A.b-C_d@X.Test'), { local: 'a.b-c_d', domain: 'x.test' })
  })
})

describe('passwords', () => {
  it('that we make take every byte to one letter of 32', () => {
    const all = newPassword({ bytes: (count) => Buffer.alloc(count, 31), below: () => 0 })
    assert.equal(all, '99999-99999-99999-99999')
  })
})
