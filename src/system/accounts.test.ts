import assert from 'node:assert/strict'
import { userInfo } from 'node:os'
import { describe, it } from 'node:test'
import { findAccount, findAccountByUid, parsePasswdLine } from './accounts.ts'

describe('accounts', () => {
  it('of the machine are found by name and by uid', async () => {
    const { username, uid, gid, homedir } = userInfo()
    const byName = await findAccount(username)
    assert.deepEqual([byName?.uid, byName?.gid, byName?.home], [uid, gid, homedir])
    assert.equal((await findAccountByUid(uid))?.uid, uid)
  })

  it('that are not there are undefined, also where a name is a number or an option', async () => {
    for (const name of ['no-such-account', '0', '--help', '-s', '', 'a:b', 'a\nb', 'a\0b', '/', '+', 'a b'])
      assert.equal(await findAccount(name), undefined, name)
    assert.equal(await findAccountByUid(4_000_000_001), undefined)
  })

  it('are looked up many at once', async () => {
    const names = Array.from({ length: 12 }, (_, n) => `no-such-account-${n}`)
    assert.ok((await Promise.all(names.map(findAccount))).every((account) => account === undefined))
    assert.equal((await findAccount(userInfo().username))?.uid, userInfo().uid)
  })

  it('are lines of seven fields with numbers', () => {
    const joe = { name: 'joe', uid: 5001, gid: 5002, home: '/home/joe', shell: '/bin/sh' }
    assert.deepEqual(parsePasswdLine('joe:x:5001:5002:Joe:/home/joe:/bin/sh'), joe)
    for (const line of [
      '',
      'joe',
      'joe:x:a:5002::/h:/bin/sh',
      'joe:x:-1:5002::/h:/s',
      '+::::::',
      '-joe:x:1:1::/h:/s',
      ':x:1:1::/h:/s',
    ])
      assert.equal(parsePasswdLine(line), undefined, line)
  })
})
