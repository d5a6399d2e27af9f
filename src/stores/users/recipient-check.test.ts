import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { realFiles } from '../../system/files.ts'
import { realClock } from '../../system/clock.ts'
import { addAccount } from '../accounts/accounts.ts'
import { parseAccountAddress, parseAliasAddress, parseTarget } from '../accounts/address.ts'
import { setAlias } from '../accounts/aliases.ts'
import { type Home, homeAt } from '../home/layout.ts'
import { makeHome } from '../home/make.ts'
import { UserLookup } from './lookup-user.ts'
import { checkRecipient } from './recipient-check.ts'

const owner = { user: 'me', uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const phc = `$argon2id$v=19$m=8,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
let home: Home = homeAt('/')

describe('recipient check', () => {
  beforeEach(async () => {
    home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-check-')))
    await makeHome(home.path, undefined)
    const address = parseAccountAddress('anna@example.test')
    await addAccount(realFiles, home, { address, owner, secrets: { phc, scram: '' } })
  })
  afterEach(() => rmSync(home.path, { recursive: true, force: true }))

  async function check(address: string, defaultDelivery = './Maildir/'): Promise<string> {
    const users = new UserLookup(home, {
      accounts: undefined,
      alias: () => Promise.resolve({ name: 'alias', uid: owner.uid, gid: owner.gid }),
    })
    const domain = address.slice(address.lastIndexOf('@') + 1)
    return (await checkRecipient(`${domain}-${address}`, { users, clock: realClock, defaultDelivery })).verdict
  }
  const alias = (address: string, ...targets: string[]): Promise<unknown> =>
    setAlias(realFiles, home, parseAliasAddress(address), () => targets.map(parseTarget), owner)
  const box = (name: string): string => join(home.mail, 'example.test/anna', name)

  it('knows accounts, their tags, aliases of both kinds, and nobody else', async () => {
    await alias('one@example.test', 'anna@example.test')
    await alias('two@example.test', 'anna@example.test', 'x@elsewhere.test')
    for (const known of ['anna', 'ANNA', 'anna+tag', 'one', 'two', 'postmaster', 'abuse', 'hostmaster'])
      assert.equal(await check(`${known}@example.test`), 'exists', known)
    for (const unknown of ['anna-ext', 'two-x', 'one-x', 'stranger'])
      assert.equal(await check(`${unknown}@example.test`), 'absent', unknown)
  })

  it('with a catch-all knows everybody, but not an account’s own extensions', async () => {
    for (const target of ['anna@example.test', 'x@elsewhere.test']) {
      await alias('@example.test', target)
      assert.equal(await check('stranger@example.test'), 'exists', target)
      assert.equal(await check('anna-ext@example.test'), 'absent', target)
    }
  })

  it('finds a mailbox full, by its addresses, if its mail goes into that Maildir by default', async () => {
    const size = box('Maildir/maildirsize')
    writeFileSync(size, '1000S\n1000 2\n')
    await alias('one@example.test', 'anna@example.test')
    for (const full of ['anna', 'anna+tag', 'one', 'postmaster'])
      assert.equal(await check(`${full}@example.test`), 'full', full)
    assert.equal(await check('anna@example.test', './Mailbox'), 'exists')
    assert.equal(await check('anna@example.test', './Other/'), 'exists')
    writeFileSync(box('.qmail'), '')
    assert.equal(await check('anna@example.test'), 'full', 'an empty .qmail means the default')
    writeFileSync(box('.qmail'), '&x@elsewhere.test\n')
    assert.equal(await check('anna@example.test'), 'exists', 'it goes elsewhere')
    rmSync(box('.qmail'))
    utimesSync(size, 0, Date.now() / 1000 - 901)
    assert.equal(await check('anna@example.test'), 'exists', 'counted too long ago')
    mkdirSync(box('.qmail-ext'))
    assert.equal(await check('anna-ext@example.test'), 'absent', 'a directory is no instruction')
  })
})
