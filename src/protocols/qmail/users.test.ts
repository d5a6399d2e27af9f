import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CdbError, CdbReader, CdbWriter } from './cdb.ts'
import { parseAssign } from './users-assign.ts'
import { lookupAssigned, splitsOf } from './users-lookup.ts'

function compile(text: string): CdbReader {
  const parsed = parseAssign(text)
  assert.ok(parsed.ok)
  const writer = new CdbWriter()
  for (const { key, data } of parsed.records) writer.add(key, data)
  return new CdbReader(writer.finish())
}

describe('users/assign', () => {
  const assign = [
    '=Joe:joe:501:502:/home/joe:::ignored',
    '=joe:second:1:1:/x:::',
    '+joe-:joe:501:502:/home/joe:-::',
    '+joe-list-:lists:600:600:/lists:-:pre-:',
    '+:catchall:700:700:/all:-::',
    '=joe-exact:exact:800:800:/exact:::',
    '?odd:odd:900:900:/odd:::',
    '.',
    'anything after the dot',
  ].join('\n')
  const database = compile(assign)
  const found = (local: string): string => {
    const record = lookupAssigned(database, local)
    return record === undefined
      ? 'none'
      : [record.user, record.uid, record.gid, record.home, record.dash, record.ext].join(' ')
  }

  it('finds exact names in any case, the first line of equals', () => {
    assert.equal(found('JOE'), 'joe 501 502 /home/joe  ')
    assert.equal(found('odd'), 'odd 900 900 /odd  ')
  })

  it('prefers exact to wildcard, a longer wildcard to a shorter', () => {
    assert.equal(found('joe-exact'), 'exact 800 800 /exact  ')
    assert.equal(found('joe-Foo-Bar'), 'joe 501 502 /home/joe - Foo-Bar')
    assert.equal(found('JOE-LIST-Dogs'), 'lists 600 600 /lists - pre-Dogs')
    assert.equal(found('stranger'), 'catchall 700 700 /all - stranger')
  })

  it('says nothing where nothing matches', () => {
    assert.equal(lookupAssigned(compile('=joe:joe:1:1:/h:::\n.\n'), 'joe-x'), undefined)
  })

  it('refuses what qmail-newu refuses, by line', () => {
    const refused = (text: string): number => {
      const parsed = parseAssign(text)
      return parsed.ok ? 0 : parsed.line
    }
    assert.equal(refused('=joe:joe:1:1:/h:::\n'), 2)
    assert.equal(refused('=joe:joe:1:1:/h::\n.\n'), 1)
    assert.equal(refused('=joe:joe:1:1:/h:::\n\n.\n'), 2)
    assert.equal(refused(':joe:1:1:/h::::\n.\n'), 1)
    assert.equal(refused('=j\0oe:joe:1:1:/h:::\n.\n'), 1)
    assert.equal(refused('# a comment\n.\n'), 1)
    assert.equal(refused('.'), 0)
    assert.equal(refused(''), 1)
  })

  it('calls a database that is not users/cdb malformed', () => {
    const writer = new CdbWriter()
    writer.add('!joe\0', 'joe\x001')
    assert.throws(() => lookupAssigned(new CdbReader(writer.finish()), 'joe'), CdbError)
    assert.throws(() => lookupAssigned(new CdbReader(new CdbWriter().finish()), 'joe'), CdbError)
  })
})

describe('splits of a mailbox name', () => {
  const of = (local: string): string[] => [...splitsOf(local)].map(({ user, dash, ext }) => `${user}|${dash}|${ext}`)

  it('tries the whole, then each break from the right, at - and at +', () => {
    assert.deepEqual(of('Joe-A+b'), ['joe-a+b||', 'joe-a|+|b', 'joe|-|A+b'])
    assert.deepEqual(of('joe+'), ['joe+||', 'joe|+|'])
    assert.deepEqual(of('-joe'), ['-joe||'])
    assert.deepEqual(of(''), [])
  })

  it('asks for no user of 32 bytes or more', () => {
    const name = 'a'.repeat(31)
    assert.deepEqual(of(name), [`${name}||`])
    assert.deepEqual(of(`${name}a`), [])
    assert.deepEqual(of(`${name}-x`), [`${name}|-|x`])
    assert.deepEqual(of(`${name}a-x`), [])
    assert.equal(of('-'.repeat(1000)).length, 31)
  })
})
