/** Whom a check has shown, by what the kernel and the machine say. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Account } from '../../system/accounts.ts'
import { checkedAccount } from './checked-account.ts'

const account = (name: string, uid: number): Account => ({ name, uid, gid: uid, home: `/home/${name}`, shell: '' })
const all = [account('joe', 1001), account('Ann', 1002), account('vmail', 500)]
const users = {
  byName: (name: string) => Promise.resolve(all.find((one) => one.name === name)),
  byUid: (uid: number) => Promise.resolve(all.find((one) => one.uid === uid)),
}

describe('the account of a checked login', () => {
  for (const [what, user, uid, home, expected] of [
    ['is the user whose uid it has, whatever was typed', 'joe', 1001, '/home/joe', 'joe'],
    ['is in lower case', 'Ann', 1002, '/home/Ann', 'ann'],
    ['is the user of the uid and home, if USER is another or none', 'ann', 1001, '/home/joe', 'joe'],
    ['is the address that the program says', 'Eve@Example.org', 500, '/srv/eve', 'eve@example.org'],
    ['is what was typed, for people who share a uid', 'joe', 500, '/srv/example.org/joe', 'typed@example.org'],
    ['is what was typed, for a uid of nobody', 'joe', 4711, '/home/joe', 'typed@example.org'],
  ] as const)
    it(what, async () => {
      assert.equal(await checkedAccount({ user, uid, gid: 1, home }, 'typed@example.org', users), expected)
    })
})
