import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { fromText } from '../../base/byte-string.ts'
import { deriveScramVerifier } from '../../protocols/sasl/scram-verifier.ts'
import { verifyPassword } from '../../system/password-hash.ts'
import { lockDirectory } from '../home/directory-lock.ts'
import { type Home, homeAt } from '../home/layout.ts'
import { readCredentialsText, replaceCredentialsText } from './credentials-file.ts'
import { credentialsPerAccountMax, parseCredentials } from './credential-lines.ts'
import {
  listCredentials,
  readCredentials,
  removeAccount,
  removeCredential,
  setCredential,
  setDisabled,
} from './credentials.ts'
import { deriveSecrets, scramDigests } from './derive.ts'

const anna = 'anna@example.test'
const phc = `$argon2id$v=19$m=8,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
let home: Home = homeAt('/')

describe('credentials', () => {
  beforeEach(() => {
    home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-credentials-')))
    mkdirSync(home.auth, { mode: 0o700 })
  })
  afterEach(() => rmSync(home.path, { recursive: true, force: true }))

  const path = (): string => join(home.auth, 'passwd')
  const text = (): string => readFileSync(path(), 'latin1')

  it('keep a main password and app passwords, all with one salt for SCRAM', async () => {
    await setCredential(home, anna, '', 'first secret')
    await setCredential(home, anna, 'phone', 'second secret')
    await setCredential(home, anna, '', 'third secret')
    assert.equal(statSync(path()).mode & 0o777, 0o600)
    const { accounts, faults } = await readCredentials(home)
    assert.deepEqual(faults, [])
    const credentials = accounts.get(anna)?.credentials ?? []
    assert.deepEqual(credentials.map(({ label }) => label).sort(), ['', 'phone'])
    assert.equal(new Set(credentials.map(({ scram }) => scram?.salt)).size, 1)
    for (const { label, hash, scram } of credentials) {
      const password = label === '' ? 'third secret' : 'second secret'
      assert.equal(await verifyPassword(password, hash), true)
      assert.ok(scram !== undefined)
      const again = await deriveScramVerifier(scramDigests, fromText(password), scram.salt, scram.iterations)
      assert.deepEqual(again, scram)
    }
    assert.ok(!text().includes('secret'))
  })

  it('are listed without hashes, disabled and removed', async () => {
    writeFileSync(path(), `${anna}::${phc}:\n${anna}:tv:${phc}:\nben@example.test:${phc}\n`)
    await setDisabled(home, anna, true)
    await setDisabled(home, anna, true)
    assert.deepEqual(
      [...(await listCredentials(home)).values()],
      [
        { address: anna, disabled: true, labels: ['', 'tv'] },
        { address: 'ben@example.test', disabled: false, labels: [''] },
      ],
    )
    await setDisabled(home, anna, false)
    assert.equal((await readCredentials(home)).accounts.get(anna)?.disabled, false)
    assert.equal(await removeCredential(home, anna, 'tv'), true)
    assert.equal(await removeCredential(home, anna, 'tv'), false)
    assert.equal(text(), `${anna}::${phc}:\nben@example.test:${phc}\n`)
    assert.equal(await removeAccount(home, anna), true)
    assert.equal(await removeAccount(home, anna), false)
    assert.equal(text(), `ben@example.test:${phc}\n`)
  })

  it('keep lines that are not understood, and name them by number alone', async () => {
    writeFileSync(path(), `# ours\n${anna}:hunter2\n\n${anna}:two words:${phc}:\n`)
    const { faults, accounts } = await readCredentials(home)
    assert.deepEqual(
      faults.map((fault) => fault.split(':')[0]),
      ['line 2', 'line 4'],
    )
    assert.doesNotMatch(faults.join(), /hunter2|two words/)
    assert.equal(accounts.size, 0)
    await setDisabled(home, anna, true)
    assert.equal(text(), `# ours\n${anna}:hunter2\n${anna}:two words:${phc}:\n!${anna}\n`)
  })

  it('refuse labels, passwords and addresses that no line can hold, and a change under another’s lock', async () => {
    await assert.rejects(setCredential(home, anna, 'a:b', 'x'), { name: 'AccountError' })
    await assert.rejects(setCredential(home, anna, 'a'.repeat(33), 'x'), { name: 'AccountError' })
    await assert.rejects(setCredential(home, anna, '', 'bell\u0007'), { name: 'AccountError' })
    await assert.rejects(setCredential(home, 'a\nroot', '', 'x'), { name: 'AccountError' })
    const unlock = await lockDirectory(home.auth)
    await assert.rejects(setDisabled(home, anna, true), /another command is changing/)
    await unlock()
    await setDisabled(home, anna, true)
  })

  it('are bounded for each account', async () => {
    const lines = Array.from({ length: credentialsPerAccountMax }, (_, n) => `${anna}:app${n}:${phc}:`)
    writeFileSync(path(), [...lines, `${anna}:onemore:${phc}:`, ''].join('\n'))
    const { accounts, faults } = await readCredentials(home)
    assert.equal(accounts.get(anna)?.credentials.length, credentialsPerAccountMax)
    assert.equal(faults.length, 1)
    await assert.rejects(setCredential(home, anna, '', 'x'), /16 passwords already/)
  })

  it('do not follow a link, nor read a file with a second name: root would copy it for another account', async () => {
    writeFileSync(join(home.path, 'other'), `root:${phc}\n`)
    symlinkSync(join(home.path, 'other'), path())
    await assert.rejects(readCredentials(home), /symbolic link/)
    await assert.rejects(setDisabled(home, anna, true), /symbolic link/)
  })

  it('can be read while they are replaced', async () => {
    writeFileSync(path(), `${anna}::${phc}:\n`)
    let replacing = true
    const replaced = (async () => {
      for (let n = 0; n < 100; n++) await replaceCredentialsText(home, fromText(`${anna}::${phc}:\n`))
      replacing = false
    })()
    while (replacing) assert.notEqual(await readCredentialsText(home), '')
    await replaced
  })

  it('the file belongs to the owner of its directory, whoever writes it', {
    skip: process.getuid?.() !== 0,
  }, async () => {
    chmodSync(home.path, 0o755)
    const { chownSync } = await import('node:fs')
    chownSync(home.auth, 4242, 4243)
    await setDisabled(home, anna, true)
    assert.equal(statSync(path()).uid, 4242)
    assert.equal(statSync(path()).gid, 4243)
  })

  it('prepare a password, so that one way of typing it is as good as another', async () => {
    const { scram } = await deriveSecrets('Ⅸ', 'saltsalt')
    assert.equal(scram, (await deriveSecrets('IX', 'saltsalt')).scram)
  })
})

describe('credential lines', () => {
  it('no file makes the reader throw, and none of its bytes get into a reason', () => {
    const piece = fc.constantFrom(anna, ':', '!', '$', phc, 'SCRAM-SHA-256', '4096', '\n', 'GEHEIM', '\0', '#')
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string({ unit: 'binary', maxLength: 8 }))), (parts) => {
        const { faults } = parseCredentials(parts.join(''))
        assert.ok(faults.every((fault) => !fault.includes('GEHEIM')))
      }),
      { numRuns: 500 },
    )
  })
  it('fold addresses to lower case', () => {
    assert.deepEqual([...parseCredentials(`ANNA@Example.TEST::${phc}:\n`).accounts.keys()], [anna])
  })
})
