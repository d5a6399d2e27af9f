import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fromText, toText } from '../../base/byte-string.ts'
import { searchDotQmail } from '../../protocols/qmail/dot-qmail.ts'
import { realFiles } from '../../system/files.ts'
import type { Secrets } from '../credentials/derive.ts'
import { type Home, homeAt } from '../home/layout.ts'
import { makeHome } from '../home/make.ts'
import { UserLookup } from '../users/lookup-user.ts'
import { addAccount, removeAccount } from './accounts.ts'
import { parseAccountAddress, parseAliasAddress, parseTarget } from './address.ts'
import { type ChangedAlias, listAliases, setAlias } from './aliases.ts'
import { addDomain, listDomains, removeDomain } from './domains.ts'
import { deleteMail } from './mailbox.ts'

const owner = { user: 'me', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const secrets: Secrets = { phc: `$argon2id$v=19$m=8,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`, scram: '' }
let home: Home = homeAt('/')

beforeEach(async () => {
  home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-é aliases-')))
  await makeHome(home.path, undefined)
})
afterEach(() => rmSync(home.path, { recursive: true, force: true }))

const account = (address: string): Promise<void> =>
  addAccount(realFiles, home, { address: parseAccountAddress(address), owner, secrets })
const alias = (address: string, ...targets: string[]): Promise<ChangedAlias> =>
  setAlias(realFiles, home, parseAliasAddress(address), (before) => [...before, ...targets.map(parseTarget)], owner)
const unalias = (address: string, ...targets: string[]): Promise<ChangedAlias> =>
  setAlias(
    realFiles,
    home,
    parseAliasAddress(address),
    (before) => before.filter((one) => targets.length > 0 && !targets.includes(one)),
    owner,
  )
const aliases = async (): Promise<Record<string, readonly string[]>> =>
  Object.fromEntries((await listAliases(realFiles, home)).map(({ address, targets }) => [address, targets]))
const assign = (): string => readFileSync(join(home.users, 'assign'), 'utf8')

/** Where the delivering code takes mail for an address: the mailbox that gets it by default, or the lines of a file. */
async function delivered(address: string): Promise<string> {
  const domain = address.slice(address.lastIndexOf('@') + 1)
  const users = new UserLookup(home, { accounts: undefined, alias: () => Promise.resolve(undefined) })
  const found = await users.lookup(`${domain}-${address.slice(0, address.lastIndexOf('@'))}`)
  if (found.kind === 'failed') return 'nobody'
  const { home: bytes, dash, ext } = found.record
  const directory = toText(bytes)
  const search = searchDotQmail(dash, ext)
  const name = search.names.map((one) => join(directory, one.name)).find((path) => existsSync(path))
  if (name !== undefined) return readFileSync(name, 'latin1').trim().replaceAll('\n', ' ')
  if (search.absent === 'no mailbox') return `no mailbox in ${directory.slice(home.mail.length + 1)}`
  return `${directory.slice(home.mail.length + 1)} ${dash}${ext}`.trim()
}

describe('aliases', () => {
  it('that lead to addresses of our own which nobody has are told', async () => {
    await account('anna@example.test')
    const targets = ['anna@example.test', 'anna-list@example.test', 'Abuse@example.test', 'x@elsewhere.test']
    assert.deepEqual((await alias('sales@example.test', ...targets)).absent, [])
    assert.deepEqual((await alias('sales@example.test', 'Nobody@example.test')).absent, ['Nobody@example.test'])
    await alias('@example.test', 'anna@example.test')
    assert.deepEqual((await alias('info@example.test', 'nobody@example.test')).absent, [])
  })

  it('of one account are a line, of several and of others a file; the delivering code finds both', async () => {
    await account('anna@example.test')
    await account('bob@other.test')
    await alias('sales@example.test', 'Anna@Example.test')
    await alias('bob@example.test', 'bob@other.test')
    await alias('info.desk@example.test', 'x@elsewhere.test', 'anna@example.test', 'x@elsewhere.test')
    assert.equal(await delivered('SALES@example.test'), 'example.test/anna')
    assert.equal(await delivered('bob@example.test'), 'other.test/bob')
    assert.equal(await delivered('Info.Desk@example.test'), '&x@elsewhere.test &anna@example.test')
    const path = join(home.mail, 'example.test/.aliases/.qmail-info:desk')
    assert.equal(statSync(path).mode & 0o777, 0o644)
    assert.equal(statSync(join(path, '..')).mode & 0o777, 0o755)
    assert.deepEqual(await aliases(), {
      'postmaster@example.test': ['anna@example.test'],
      'abuse@example.test': ['anna@example.test'],
      'hostmaster@example.test': ['anna@example.test'],
      'postmaster@other.test': ['bob@other.test'],
      'abuse@other.test': ['bob@other.test'],
      'hostmaster@other.test': ['bob@other.test'],
      'sales@example.test': ['anna@example.test'],
      'bob@example.test': ['bob@other.test'],
      'info.desk@example.test': ['x@elsewhere.test', 'anna@example.test'],
    })
  })

  it('have a target once, whatever its case', async () => {
    await account('anna@example.test')
    assert.deepEqual((await alias('x@example.test', 'anna@example.test', 'ANNA@example.test')).targets, [
      'anna@example.test',
    ])
    assert.equal(await delivered('x@example.test'), 'example.test/anna')
    const { targets } = await alias('x@example.test', 'Anna@example.test', 'Bob@y.test', 'bob@y.test')
    assert.deepEqual(targets, ['anna@example.test', 'Bob@y.test'])
  })

  it('become a file and a line again as their targets change, and leave nothing behind', async () => {
    await account('anna@example.test')
    const before = assign()
    const file = join(home.mail, 'example.test/.aliases/.qmail-x')
    await alias('x@example.test', 'anna@example.test')
    await alias('x@example.test', 'y@elsewhere.test')
    assert.equal(await delivered('x@example.test'), '&anna@example.test &y@elsewhere.test')
    await unalias('x@example.test', 'y@elsewhere.test')
    assert.equal(await delivered('x@example.test'), 'example.test/anna')
    assert.ok(!existsSync(file))
    await alias('x@example.test', 'y@elsewhere.test')
    await unalias('x@example.test')
    assert.ok(!existsSync(file))
    assert.equal(assign(), before)
  })

  it('a catch-all gets what nobody else has: accounts, their extensions and aliases go first', async () => {
    await account('anna@example.test')
    await account('bob@example.test')
    await alias('sales@example.test', 'x@elsewhere.test', 'y@elsewhere.test')
    await alias('@example.test', 'bob@example.test')
    const where = {
      'anna@example.test': 'example.test/anna',
      'anna-list@example.test': 'no mailbox in example.test/anna',
      'anna+tag@example.test': 'example.test/anna +tag',
      'sales@example.test': '&x@elsewhere.test &y@elsewhere.test',
      'postmaster@example.test': 'example.test/anna',
      'sales-x@example.test': 'example.test/bob +sales-x',
      'Any.Body@example.test': 'example.test/bob +Any.Body',
      'annab@example.test': 'example.test/bob +annab',
      'anna@elsewhere.test': 'nobody',
    }
    for (const [address, expected] of Object.entries(where)) assert.equal(await delivered(address), expected, address)
    // The account's own .qmail says what happens to it.
    writeFileSync(join(home.mail, 'example.test/bob/.qmail'), './Other/\n')
    assert.equal(await delivered('stranger@example.test'), './Other/')
  })

  it('a catch-all that leads away is a file of its own, which an alias named default does not touch', async () => {
    await account('anna@example.test')
    await alias('@example.test', 'x@elsewhere.test')
    await alias('default@example.test', 'd@elsewhere.test')
    await alias('sales@example.test', 's@elsewhere.test')
    assert.equal(await delivered('stranger@example.test'), '&x@elsewhere.test')
    assert.equal(await delivered('sales-more@example.test'), '&x@elsewhere.test')
    assert.equal(await delivered('default@example.test'), '&d@elsewhere.test')
    assert.equal(await delivered('anna+x@example.test'), 'example.test/anna +x')
    await unalias('@example.test')
    assert.equal(await delivered('stranger@example.test'), 'nobody')
    assert.equal(await delivered('default@example.test'), '&d@elsewhere.test')
  })

  it('give way to an account of their name, and lose one that is removed', async () => {
    await account('anna@example.test')
    await alias('bob@example.test', 'x@elsewhere.test')
    await alias('all@example.test', 'anna@example.test', 'x@elsewhere.test')
    await alias('@example.test', 'anna@example.test')
    await account('bob@example.test')
    assert.equal(await delivered('bob@example.test'), 'example.test/bob')
    assert.ok(!existsSync(join(home.mail, 'example.test/.aliases/.qmail-bob')))
    await removeAccount(realFiles, home, parseAccountAddress('anna@example.test'))
    assert.equal(await delivered('all@example.test'), '&x@elsewhere.test')
    assert.equal(await delivered('anna@example.test'), 'nobody')
    assert.equal(await delivered('postmaster@example.test'), 'example.test/bob')
  })

  it('are refused where they cannot be, with the reason', async () => {
    await account('anna@example.test')
    const before = assign()
    await assert.rejects(alias('x@unknown.test', 'anna@example.test'), /'quaver domain add unknown\.test' first/)
    await assert.rejects(alias('anna@example.test', 'x@y.test'), /is an account; .*anna\/\.qmail/)
    await assert.rejects(alias('x@example.test', 'y@z.test', 'X@example.test'), /cannot lead to itself/)
    await assert.rejects(alias('@example.test', 'nobody@example.test'), /would lead to itself/)
    assert.equal(assign(), before)
    for (const bad of ['x', '@y.test', 'a b@y.test', 'a\n@y.test', 'a@y_z.test', 'a@', `${'a'.repeat(65)}@y.test`])
      assert.throws(() => parseTarget(bad), { name: 'AccountError' })
    assert.equal(parseTarget("o'neil&Söhne@Example.test"), fromText("o'neil&Söhne@example.test"))
  })

  it('lines that an administrator wrote stay, and are in nobody’s list', async () => {
    await account('anna@example.test')
    const foreign = [
      '=example.test-joe:joe:7:7:/home/joe:::',
      `+example.test-list-:joe:7:7:${home.mail}/example.test/anna:-:list-:`,
    ]
    writeFileSync(join(home.users, 'assign'), `${foreign.join('\n')}\n${assign()}`)
    await assert.rejects(alias('joe@example.test', 'x@y.test'), /not ours: '=example\.test-joe:'/)
    await alias('@example.test', 'anna@example.test')
    assert.ok(assign().startsWith(`${foreign.join('\n')}\n`))
    assert.ok(!Object.hasOwn(await aliases(), 'joe@example.test'))
  })
})

describe('domains', () => {
  it('have postmaster, abuse and hostmaster, at once or with their first account', async () => {
    assert.equal(await addDomain(realFiles, home, 'one.test', undefined, owner), undefined)
    assert.deepEqual(await aliases(), {})
    assert.equal(readFileSync(join(home.control, 'virtualdomains'), 'utf8'), 'one.test:one.test\n')
    assert.equal(readFileSync(join(home.control, 'rcpthosts'), 'utf8'), 'one.test\n')
    await account('anna@one.test')
    assert.equal(await addDomain(realFiles, home, 'two.test', 'anna@one.test', owner), 'anna@one.test')
    await addDomain(realFiles, home, 'three.test', 'x@elsewhere.test', owner)
    await account('bob@three.test')
    for (const name of ['postmaster', 'abuse', 'hostmaster']) {
      assert.equal(await delivered(`${name}@one.test`), 'one.test/anna')
      assert.equal(await delivered(`${name}@two.test`), 'one.test/anna')
      assert.equal(await delivered(`${name}@three.test`), '&x@elsewhere.test')
    }
    await assert.rejects(addDomain(realFiles, home, 'one.test', undefined, owner), /hosted here already/)
    assert.deepEqual(await listDomains(realFiles, home), [
      { domain: 'one.test', accounts: 1, aliases: 3 },
      { domain: 'two.test', accounts: 0, aliases: 3 },
      { domain: 'three.test', accounts: 1, aliases: 3 },
    ])
  })

  it('go when they are empty, or with their accounts; other lines and the mail stay', async () => {
    mkdirSync(home.control, { recursive: true })
    writeFileSync(join(home.control, 'rcpthosts'), '# ours\nkeep.test\n')
    writeFileSync(join(home.users, 'assign'), '=joe:joe:7:7:/home/joe:::\n.\n')
    await account('anna@one.test')
    await account('bob@two.test')
    await alias('x@one.test', 'a@elsewhere.test')
    await alias('@one.test', 'anna@one.test')
    await alias('anna@two.test', 'anna@one.test')
    const message = /one\.test has 1 account, such as anna@one\.test: remove them first, or give --accounts/
    await assert.rejects(removeDomain(realFiles, home, 'one.test', false), message)
    const gone = await removeDomain(realFiles, home, 'one.test', true)
    assert.deepEqual(
      gone.accounts.map(({ local }) => local),
      ['anna'],
    )
    assert.deepEqual(gone.aliases, [{ address: 'anna@two.test', targets: [] }])
    assert.ok(!assign().includes('one.test'))
    assert.ok(assign().startsWith('=joe:joe:7:7:/home/joe:::\n=two.test-bob:'))
    assert.equal(readFileSync(join(home.control, 'rcpthosts'), 'utf8'), '# ours\nkeep.test\ntwo.test\n')
    assert.equal(readFileSync(join(home.control, 'virtualdomains'), 'utf8'), 'two.test:two.test\n')
    assert.ok(!readFileSync(join(home.auth, 'passwd'), 'utf8').includes('one.test'))
    assert.ok(existsSync(join(home.mail, 'one.test/anna/Maildir/new')))
    assert.ok(!existsSync(join(home.mail, 'one.test/.aliases')))
    await assert.rejects(removeDomain(realFiles, home, 'one.test', true), /not hosted here/)
  })
})

describe('accounts that go', () => {
  it('with their domain leave the aliases of others, whose role addresses pass to an account of theirs', async () => {
    await account('u1@one.test')
    await account('v1@one.test')
    await account('u2@two.test')
    await account('u3@two.test')
    await addDomain(realFiles, home, 'three.test', 'u1@one.test', owner)
    await alias('multi@two.test', 'u1@one.test', 'u2@two.test')
    await alias('both@two.test', 'u1@one.test', 'v1@one.test', 'x@elsewhere.test')
    await alias('info@two.test', 'u1@one.test')
    await alias('@two.test', 'u1@one.test', 'v1@one.test')
    await alias('postmaster@two.test', 'u1@one.test')
    await unalias('postmaster@two.test', 'u2@two.test')
    await alias('list@one.test', 'u1@one.test', 'x@elsewhere.test')
    const { aliases: changed } = await removeDomain(realFiles, home, 'one.test', true)
    assert.deepEqual(Object.fromEntries(changed.map(({ address, targets }) => [address, targets])), {
      'postmaster@three.test': [],
      'abuse@three.test': [],
      'hostmaster@three.test': [],
      'multi@two.test': ['u2@two.test'],
      'both@two.test': ['x@elsewhere.test'],
      'info@two.test': [],
      '@two.test': [],
      'postmaster@two.test': ['u2@two.test'],
    })
    assert.deepEqual(await aliases(), {
      'abuse@two.test': ['u2@two.test'],
      'hostmaster@two.test': ['u2@two.test'],
      'multi@two.test': ['u2@two.test'],
      'both@two.test': ['x@elsewhere.test'],
      'postmaster@two.test': ['u2@two.test'],
    })
    assert.equal(await delivered('multi@two.test'), 'two.test/u2')
    assert.equal(await delivered('both@two.test'), '&x@elsewhere.test')
    assert.ok(!existsSync(join(home.mail, 'two.test/.aliases/.qmail-@-default')))
    assert.ok(!assign().includes('one.test'))
  })

  it('leave a role address of another domain to an account of that one', async () => {
    await account('u5@five.test')
    await account('v5@five.test')
    await account('u6@six.test')
    await alias('postmaster@six.test', 'u5@five.test')
    await unalias('postmaster@six.test', 'u6@six.test')
    await removeAccount(realFiles, home, parseAccountAddress('u5@five.test'))
    assert.equal(await delivered('postmaster@six.test'), 'six.test/u6')
    assert.equal(await delivered('postmaster@five.test'), 'five.test/v5')
  })
})

describe('a role address that is an account', () => {
  it('passes to the next account when it is removed', async () => {
    await account('postmaster@example.test')
    await account('anna@example.test')
    const changed = await removeAccount(realFiles, home, parseAccountAddress('postmaster@example.test'))
    assert.deepEqual(
      changed.map(({ address, targets }) => [address, ...targets]),
      ['abuse', 'hostmaster', 'postmaster'].map((name) => [`${name}@example.test`, 'anna@example.test']),
    )
    for (const name of ['postmaster', 'abuse', 'hostmaster'])
      assert.equal(await delivered(`${name}@example.test`), 'example.test/anna')
    await removeAccount(realFiles, home, parseAccountAddress('anna@example.test'))
    assert.equal(assign(), '.\n')
  })
})

describe('mail of a removed account', () => {
  it('is deleted with its owner’s rights: a link leads to nothing else', {
    skip: process.getuid?.() !== 0,
  }, async () => {
    const other = { user: 'bin', uid: 2, gid: 2 }
    chmodSync(home.path, 0o755)
    const address = parseAccountAddress('anna@example.test')
    await addAccount(realFiles, home, { address, owner: other, secrets })
    const box = join(home.mail, 'example.test/anna')
    writeFileSync(join(box, 'Maildir/new/1.a'), 'x')
    mkdirSync(join(box, 'of-root'))
    writeFileSync(join(box, 'of-root/file'), 'x')
    const left = await deleteMail(home, address, other)
    assert.match(left ?? '', /anna: EACCES|anna: .*permission denied/i)
    assert.ok(existsSync(join(box, 'of-root/file')))
    assert.equal(process.geteuid?.(), 0)
    rmSync(join(box, 'of-root'), { recursive: true })
    assert.equal(await deleteMail(home, address, other), undefined)
    assert.ok(!existsSync(box))
    assert.equal(await deleteMail(home, address, other), undefined)
  })
})
