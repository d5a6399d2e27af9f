import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Account } from '../../system/accounts.ts'
import { type Clock, realClock } from '../../system/clock.ts'
import { homeAt, type Home } from '../home/layout.ts'
import { reportOf } from '#test/kit/status.ts'
import { compileAssign, restoreCdb } from './assign.ts'
import { AccountBook, type AccountSource, machineAccounts, UserLookup } from './lookup-user.ts'

const joe: Account = { name: 'joe', uid: 5001, gid: 5001, home: '/home/joe', shell: '' }
const alias: Account = { name: 'alias', uid: 7790, gid: 2108, home: '/q/alias', shell: '' }

async function makeHome(test: TestContext): Promise<Home> {
  const directory = await mkdtemp(join(tmpdir(), 'quaver-users-'))
  test.after(() => rm(directory, { recursive: true }))
  const home = homeAt(directory)
  await mkdir(home.users)
  return home
}

function source(changes: Partial<AccountSource> = {}): AccountSource {
  return {
    find: (name) => Promise.resolve(name === 'joe' ? joe : undefined),
    ownerOf: () => Promise.resolve(5001),
    ...changes,
  }
}

function lookupIn(home: Home, accounts: AccountSource, aliasAccount: Account | undefined = alias): UserLookup {
  return new UserLookup(home, {
    accounts: new AccountBook(realClock, accounts),
    alias: () => Promise.resolve(aliasAccount),
  })
}

async function say(users: UserLookup, local: string): Promise<string> {
  const found = await users.lookup(local)
  if (found.kind === 'failed') {
    const { letter, text } = reportOf(found.failure)
    return letter + text
  }
  const { user, uid, home, dash, ext } = found.record
  return [user, uid, home, dash, ext].join(' ')
}

describe('qmail-newu', () => {
  it('replaces users/cdb as a whole, and leaves nothing else', async (test) => {
    const home = await makeHome(test)
    await writeFile(join(home.users, 'assign'), '=joe:joe:1:1:/h:::\n+x-:joe:1:1:/h:-::\n.\n')
    assert.deepEqual(await compileAssign(home), { done: true, value: { records: 2 } })
    assert.deepEqual((await readdir(home.users)).sort(), ['assign', 'cdb'])
  })

  it('keeps the old file when the text is wrong, and says where', async (test) => {
    const home = await makeHome(test)
    await writeFile(join(home.users, 'cdb'), 'old')
    const absent = await compileAssign(home)
    assert.equal(absent.done ? '' : absent.failure.peerText, 'unable to open users/assign')
    await writeFile(join(home.users, 'assign'), '=joe:joe:1:1:/h:::\n=mary:mary\n.\n')
    const bad = await compileAssign(home)
    assert.ok(!bad.done)
    assert.equal(bad.failure.peerText, 'bad format in users/assign')
    assert.match(bad.failure.logText, /line 2 /)
    assert.equal(await readFile(join(home.users, 'cdb'), 'latin1'), 'old')
  })
})

describe('who owns a mailbox', () => {
  it('is said by users/cdb before the accounts, and by the alias after them', async (test) => {
    const home = await makeHome(test)
    const users = lookupIn(home, source())
    assert.equal(await say(users, 'Joe+Tag'), 'joe 5001 /home/joe + Tag')
    assert.equal(await say(users, 'mary-x'), `alias 7790 ${home.alias} - mary-x`)
    await writeFile(join(home.users, 'assign'), '+joe+:list:9:9:/list:-::\n=mary:mary:8:8:/mary:::\n.\n')
    await compileAssign(home)
    assert.equal(await say(users, 'Joe+Tag'), 'list 9 /list - Tag')
    assert.equal(await say(users, 'joe'), 'joe 5001 /home/joe  ')
    assert.equal(await say(users, 'MARY'), 'mary 8 /mary  ')
  })

  it('is put off while users/cdb is away and users/assign, or the memory of it, is there', async (test) => {
    const home = await makeHome(test)
    const users = lookupIn(home, source())
    const unknown = 'ZTrouble reading users/cdb in qmail-lspawn.\n'
    await writeFile(join(home.users, 'assign'), '=mary:mary:8:8:/mary:::\n.\n')
    assert.equal(await say(users, 'mary'), unknown)
    assert.equal((await restoreCdb(home))?.done, true)
    assert.equal(await restoreCdb(home), undefined)
    assert.equal(await say(users, 'mary'), 'mary 8 /mary  ')
    for (const name of ['cdb', 'assign']) {
      await rm(join(home.users, name))
      assert.equal(await say(users, 'mary'), unknown, name)
    }
  })

  it('is put off while the home of a person is away; a service without one is nobody', async () => {
    await assert.rejects(machineAccounts.ownerOf('/no/such/home', 1001), /ENOENT/)
    assert.equal(await machineAccounts.ownerOf('/no/such/home', 33), undefined)
    assert.equal(await machineAccounts.ownerOf('/no/such/home', 65_534), undefined)
  })

  it('is not somebody without an own home, nor root', async (test) => {
    const home = await makeHome(test)
    const toAlias = `alias 7790 ${home.alias} - joe`
    for (const owner of [0, 5002, undefined])
      assert.equal(await say(lookupIn(home, source({ ownerOf: () => Promise.resolve(owner) })), 'joe'), toAlias)
    const root = source({ find: () => Promise.resolve({ ...joe, uid: 0 }), ownerOf: () => Promise.resolve(0) })
    assert.equal(await say(lookupIn(home, root), 'joe'), toAlias)
  })

  it('is put off when nobody can tell', async (test) => {
    const home = await makeHome(test)
    const trouble = source({ find: () => Promise.reject(new Error('getent: timed out')) })
    assert.equal(await say(lookupIn(home, trouble), 'joe'), 'ZTemporary failure in qmail-lspawn.\n')
    const noAlias = new UserLookup(home, { accounts: undefined, alias: () => Promise.resolve(undefined) })
    assert.equal(await say(noAlias, 'nobody'), 'ZUnable to find alias user!\n')
    await writeFile(join(home.users, 'cdb'), 'not a cdb')
    assert.equal(await say(lookupIn(home, source()), 'joe'), 'ZTrouble reading users/cdb in qmail-lspawn.\n')
  })
})

describe('the account book', () => {
  it('asks once in a few seconds, and again at once after trouble', async () => {
    let now = 0
    let asked = 0
    let failing = true
    const clock: Clock = { ...realClock, monotonic: () => now }
    const book = new AccountBook(
      clock,
      source({
        find() {
          asked++
          return failing ? Promise.reject(new Error('trouble')) : Promise.resolve(joe)
        },
      }),
    )
    await assert.rejects(book.mailUser('joe'))
    failing = false
    await Promise.all([book.mailUser('joe'), book.mailUser('joe')])
    now = 4_999
    assert.equal(await book.mailUser('joe'), joe)
    assert.equal(asked, 2)
    now = 5_000
    await book.mailUser('joe')
    assert.equal(asked, 3)
  })
})
