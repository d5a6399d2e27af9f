import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { realRandom } from '../../system/random.ts'
import { findHome } from './find.ts'
import { directories, homeAt } from './layout.ts'
import { makeHome } from './make.ts'
import { findOwners } from './owners.ts'
import { readTls, writeSelfSigned } from './tls-files.ts'

let parent = ''
let path = ''
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'quaver-home-'))
  path = join(parent, 'deep/home')
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

describe('a home', () => {
  it('has every directory of the table with its mode, whatever the umask', async () => {
    const before = process.umask(0o077)
    try {
      await makeHome(path, undefined)
    } finally {
      process.umask(before)
    }
    for (const { name, mode } of directories) assert.equal(statSync(join(path, name)).mode & 0o7777, mode, name)
  })

  it('is left alone if it is right, and made again where something is missing', async () => {
    await makeHome(path, undefined)
    writeFileSync(join(path, 'control/me'), 'x\n')
    chmodSync(join(path, 'log'), 0o700)
    rmSync(join(path, 'queue/content'), { recursive: true })
    await makeHome(path, undefined)
    assert.equal(statSync(join(path, 'log')).mode & 0o777, 0o700)
    assert.equal(statSync(join(path, 'queue/content')).mode & 0o777, 0o700)
    assert.equal(statSync(join(path, 'control/me')).size, 2)
  })

  it('names every directory that is too open, with the remedy', async () => {
    await makeHome(path, undefined)
    chmodSync(join(path, 'tls'), 0o750)
    chmodSync(join(path, 'control'), 0o777)
    await assert.rejects(makeHome(path, undefined), (error: Error) => {
      assert.equal(
        error.message,
        `${path}/control has mode 777, which is too open: chmod 755 ${path}/control\n${path}/tls has mode 750, which is too open: chmod 700 ${path}/tls`,
      )
      return true
    })
  })

  it('names a guarded directory of another owner', async () => {
    await makeHome(path, undefined)
    const stranger = { account: 'qmailq', uid: (process.getuid?.() ?? 0) + 1, gid: 0 }
    await assert.rejects(
      makeHome(path, () => stranger),
      new RegExp(`${path}/queue belongs to uid \\d+, not to qmailq: chown qmailq ${path}/queue`),
    )
  })
})

describe('owners', () => {
  it('a missing account is named with role, file and remedy', async () => {
    const wanted = findOwners(new Set(['queue']), new Map([['queue', 'no-such-account']]))
    await assert.rejects(
      wanted,
      /no account 'no-such-account' for the role 'queue': useradd .* no-such-account, or name another in control\/roles/,
    )
  })

  it('no role may be root by way of control/roles', async () => {
    await assert.rejects(findOwners(new Set(['smtpd']), new Map([['smtpd', 'root']])), /must not run as 'root'/)
  })

  it('roles that are not needed are not looked up', async () => {
    const ownerOf = await findOwners(new Set(['root']), new Map([['queue', 'no-such-account']]))
    assert.equal(ownerOf('queue').uid, 0)
  })
})

describe('finding the home', () => {
  it('the option wins over the variable, both over the clone', () => {
    assert.equal(findHome('/a', '/b', '/c').path, '/a')
    assert.equal(findHome(undefined, '/b', '/c').path, '/b')
  })

  it("the clone's own home counts if it is there", async () => {
    await makeHome(join(parent, '.quaver'), undefined)
    const found = findHome(undefined, '', parent)
    assert.deepEqual([found.path, found.exists], [join(parent, '.quaver'), true])
  })

  it('what stands in the way of one is named', () => {
    const about = (option: string): string | undefined => findHome(option, undefined, undefined).obstacle
    assert.equal(about(join(parent, 'nowhere/x')), undefined)
    assert.equal(about('/etc/passwd'), 'it is no directory')
    assert.equal(about('/etc/passwd/x/y'), '/etc/passwd is no directory')
    symlinkSync('loop', join(parent, 'loop'))
    assert.match(about(join(parent, 'loop')) ?? '', /^ELOOP/)
  })

  it('of two that are there and were not named, the other is told', async () => {
    await makeHome(join(parent, '.quaver'), undefined)
    await makeHome(join(parent, 'system'), undefined)
    const system = join(parent, 'system')
    assert.equal(findHome(undefined, undefined, parent, system).other, system)
    assert.equal(findHome(undefined, undefined, parent, join(parent, 'nowhere')).other, undefined)
    assert.equal(findHome(system, undefined, parent, system).other, undefined)
  })

  it('a path that users/assign cannot hold is refused', async () => {
    for (const name of ['a:b', 'a\nb'])
      await assert.rejects(
        makeHome(join(parent, name), undefined),
        /which users\/assign cannot hold: choose another path/,
      )
    await makeHome(join(parent, 'é ü'), undefined)
  })
})

describe('HOME/tls', () => {
  it('a new pair belongs together; the key is for its owner only', async () => {
    await makeHome(path, undefined)
    const { tls } = homeAt(path)
    assert.equal((await readTls(tls)).kind, 'absent')
    await writeSelfSigned(realFiles, tls, 'quaver.test', realClock, realRandom)
    assert.equal((await readTls(tls)).kind, 'pair')
    assert.equal(statSync(join(tls, 'key.pem')).mode & 0o777, 0o600)
  })

  it('refuses a key that others may read, and a key of another certificate, without showing it', async () => {
    await makeHome(path, undefined)
    const { tls } = homeAt(path)
    await writeSelfSigned(realFiles, tls, 'quaver.test', realClock, realRandom)
    const certificate = await realFiles.read(join(tls, 'cert.pem'), 10_000)
    chmodSync(join(tls, 'key.pem'), 0o640)
    assert.deepEqual(await readTls(tls), {
      kind: 'faulty',
      fault: `${tls}/key.pem may be read by others: chmod 600 ${tls}/key.pem`,
    })
    await writeSelfSigned(realFiles, tls, 'quaver.test', realClock, realRandom)
    writeFileSync(join(tls, 'cert.pem'), certificate ?? '')
    assert.deepEqual(await readTls(tls), {
      kind: 'faulty',
      fault: `${tls}/cert.pem and key.pem: certificate and key do not belong together`,
    })
  })
})
