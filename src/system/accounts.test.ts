import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { without, withoutRoot } from '#test/kit/tool.ts'
import { findAccount, findAccountByUid, parsePasswdLine } from './accounts.ts'

function withoutNamespaces(): string | false {
  const missing = withoutRoot() || without('unshare')
  if (missing !== false) return missing
  return spawnSync('unshare', ['-m', 'true']).status !== 0 && 'this machine gives no mount namespace'
}

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

  it('are asked of the machine’s getent, whatever PATH says', { skip: withoutNamespaces() }, (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-getent-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const [sources, marker] = [join(directory, 'nsswitch.conf'), join(directory, 'ran')]
    writeFileSync(sources, 'passwd: files other\n')
    writeFileSync(join(directory, 'getent'), `#!/bin/sh\ntouch ${marker}\necho planted:x:0:0::/:/bin/sh\n`, {
      mode: 0o755,
    })
    const program = `import(${JSON.stringify(join(import.meta.dirname, 'accounts.ts'))})
      .then(({ findAccount }) => findAccount('planted')).then((found) => console.log(String(found)))`
    // In a mount namespace of its own, where the name service knows more than the file.
    const { stdout, stderr } = spawnSync(
      'unshare',
      [
        '-m',
        'sh',
        '-c',
        'mount --bind "$1" /etc/nsswitch.conf && exec "$2" -e "$3"',
        'sh',
        sources,
        process.execPath,
        program,
      ],
      { encoding: 'utf8', env: { PATH: `${directory}:/usr/bin:/bin` } },
    )
    assert.equal(stdout, 'undefined\n', stderr)
    assert.ok(!existsSync(marker))
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
