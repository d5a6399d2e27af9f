import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { realFiles } from '../../system/files.ts'
import { listCredentials, setCredential, setDisabled } from '../credentials/credentials.ts'
import type { Secrets } from '../credentials/derive.ts'
import { type Home, homeAt } from '../home/layout.ts'
import { makeHome } from '../home/make.ts'
import { addAccount, listAccounts, removeAccount } from './accounts.ts'
import { parseAccountAddress, parseAliasAddress } from './address.ts'
import { listAliases, setAlias } from './aliases.ts'
import { renameAccount } from './rename.ts'

const owner = { user: 'me', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const phc = `$argon2id$v=19$m=8,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
const secrets: Secrets = { phc, scram: '' }
let home: Home = homeAt('/')

beforeEach(async () => {
  home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-rename-')))
  await makeHome(home.path, undefined)
  writeFileSync(join(home.control, 'me'), 'host.test\n')
  writeFileSync(join(home.control, 'locals'), 'localhost\n')
})
afterEach(() => rmSync(home.path, { recursive: true, force: true }))

const add = (address: string, oldMail?: 'given'): Promise<void> =>
  addAccount(realFiles, home, {
    address: parseAccountAddress(address),
    owner,
    secrets,
    ...(oldMail === undefined ? {} : { oldMail }),
  })
const rename = (from: string, to: string): Promise<void> =>
  renameAccount(realFiles, home, parseAccountAddress(from), parseAccountAddress(to))
const aliases = async (): Promise<Record<string, string>> =>
  Object.fromEntries((await listAliases(realFiles, home)).map(({ address, targets }) => [address, targets.join()]))

describe('an account that is renamed', () => {
  beforeEach(async () => {
    await add('anna@a.test')
    await setCredential(home, 'anna@a.test', 'phone', 'a password')
    await setDisabled(home, 'anna@a.test', true)
    writeFileSync(join(home.mail, 'a.test/anna/Maildir/new/1.h'), 'mail\n')
    await setAlias(realFiles, home, parseAliasAddress('ann@a.test'), () => ['anna@a.test'], owner)
    await setAlias(realFiles, home, parseAliasAddress('@a.test'), () => ['anna@a.test'], owner)
    await setAlias(realFiles, home, parseAliasAddress('all@a.test'), () => ['anna@a.test', 'x@b.test'], owner)
  })

  it('takes mail, passwords and aliases along; the old address leads to it', async () => {
    await rename('anna@a.test', 'anna.smith@b.test')
    const accounts = await listAccounts(realFiles, home)
    assert.deepEqual(
      accounts.map(({ address, apps, hasPassword, disabled }) => [address, apps, hasPassword, disabled]),
      [['anna.smith@b.test', ['phone'], true, true]],
    )
    assert.ok(existsSync(join(home.mail, 'b.test/anna.smith/Maildir/new/1.h')))
    assert.ok(!existsSync(join(home.mail, 'a.test/anna')))
    assert.deepEqual(await aliases(), {
      'postmaster@a.test': 'anna.smith@b.test',
      'abuse@a.test': 'anna.smith@b.test',
      'hostmaster@a.test': 'anna.smith@b.test',
      'ann@a.test': 'anna.smith@b.test',
      '@a.test': 'anna.smith@b.test',
      'all@a.test': 'anna@a.test,x@b.test',
      'anna@a.test': 'anna.smith@b.test',
    })
    assert.equal(readFileSync(join(home.control, 'rcpthosts'), 'utf8'), 'a.test\nb.test\n')
  })

  it('may take the name of an alias of its own, and get its old name back', async () => {
    await rename('anna@a.test', 'ann@a.test')
    assert.equal((await aliases())['anna@a.test'], 'ann@a.test')
    await rename('ann@a.test', 'anna@a.test')
    assert.deepEqual([...(await listCredentials(home)).keys()], ['anna@a.test'])
    assert.equal((await aliases())['ann@a.test'], 'anna@a.test')
  })

  it('takes nothing that is somebody else’s, and changes nothing then', async () => {
    await add('bob@a.test')
    mkdirSync(join(home.mail, 'a.test/carl'))
    const before = readFileSync(join(home.users, 'assign'), 'utf8')
    await assert.rejects(rename('anna@a.test', 'bob@a.test'), /bob@a\.test is an account already/)
    await assert.rejects(rename('anna@a.test', 'all@a.test'), /is an alias of others/)
    await assert.rejects(rename('anna@a.test', 'carl@a.test'), /carl is there from before: move it away/)
    await assert.rejects(rename('nobody@a.test', 'x@a.test'), /nobody@a\.test is no account/)
    await assert.rejects(rename('anna@a.test', 'anna@localhost'), /in control\/locals/)
    assert.equal(readFileSync(join(home.users, 'assign'), 'utf8'), before)
  })
})

describe('the mail of an account that is gone', () => {
  for (const [what, file] of [
    ['mail', 'Maildir/cur/1.h:2,S'],
    ['a folder', 'Maildir/.Sent'],
    ['instructions', '.qmail'],
  ] as const)
    it(`${what}: is not given to the next of that name unasked`, async () => {
      await add('anna@a.test')
      writeFileSync(join(home.mail, 'a.test/anna', file), 'x')
      await removeAccount(realFiles, home, parseAccountAddress('anna@a.test'))
      await assert.rejects(add('anna@a.test'), /had this address before: --with-old-mail gives all of it/)
      assert.deepEqual(await listAccounts(realFiles, home), [])
      await add('anna@a.test', 'given')
      assert.equal((await listAccounts(realFiles, home)).length, 1)
    })

  it('an empty mailbox is no reason to ask', async () => {
    await add('anna@a.test')
    await removeAccount(realFiles, home, parseAccountAddress('anna@a.test'))
    await add('anna@a.test')
  })
})

describe('an account that is disabled by another of its names', () => {
  it('is shown as authd sees it', async () => {
    writeFileSync(join(home.control, 'me'), 'a.test\n')
    await add('anna@a.test')
    await setDisabled(home, 'anna', true)
    assert.equal((await listAccounts(realFiles, home))[0]?.disabled, true)
    await setDisabled(home, 'anna@a.test', false, ['anna'])
    assert.equal((await listAccounts(realFiles, home))[0]?.disabled, false)
  })
})
