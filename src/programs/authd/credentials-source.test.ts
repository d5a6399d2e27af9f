import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Home, homeAt } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { CredentialsSource } from './credentials-source.ts'

const phc = `$argon2id$v=19$m=8,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
let home: Home = homeAt('/')

describe('what auth/passwd says', () => {
  const log: string[] = []
  let lost: readonly string[] = []
  beforeEach(async () => {
    home = homeAt(await mkdtemp(join(tmpdir(), 'quaver-credentials-')))
    for (const path of [home.auth, home.users]) await mkdir(path, { mode: 0o700 })
    log.length = 0
    lost = []
  })
  afterEach(() => rm(home.path, { recursive: true }))

  const passwd = (): string => join(home.auth, 'passwd')
  const write = (): Promise<void> => writeFile(passwd(), `anna@one.example::${phc}:\n`, { mode: 0o600 })
  const hostsUsers = (): Promise<void> => writeFile(join(home.users, 'assign'), '.\n')
  const open = (hasChecker = false): CredentialsSource =>
    new CredentialsSource({
      home,
      clock: realClock,
      log: (line) => log.push(line),
      hasChecker: () => hasChecker,
      onChange: (names) => (lost = names),
    })

  it('of a home without users is that there are none', async () => {
    assert.equal((await open().current()).size, 0)
    assert.deepEqual(log, [])
  })

  it('is not known while it cannot be read at all, and then is', async () => {
    await mkdir(passwd())
    const source = open()
    await assert.rejects(source.current(), /auth\/passwd: .*is not a file/)
    await source.look()
    assert.match(log.join('\n'), /^alert: auth\/passwd: .*; nobody can log in$/)
    await rm(passwd(), { recursive: true })
    await write()
    assert.equal((await source.current()).size, 1)
  })

  it('is not known while it is away and there are users; a password checker knows others', async () => {
    await hostsUsers()
    await assert.rejects(open().current(), /missing, and there are accounts/)
    assert.equal((await open(true).current()).size, 0)
    await rm(home.auth, { recursive: true })
    await assert.rejects(open(true).current(), /missing/)
  })

  it('is not known of one whose line cannot be read, and that ends no session', async () => {
    const other = `bob@one.example::${phc}:\n`
    await writeFile(passwd(), `anna@one.example::${phc}:\n${other}`, { mode: 0o600 })
    const source = open()
    await source.current()
    await writeFile(`${passwd()}.new`, `Anna@one.example::$argon2id$v=19$m=8,t=1,p=1$AAAA\n${other}`, { mode: 0o600 })
    await rename(`${passwd()}.new`, passwd())
    assert.deepEqual([...(await source.current()).keys()], ['bob@one.example'])
    assert.deepEqual([source.isUnreadable('anna@one.example'), source.isUnreadable('bob@one.example')], [true, false])
    assert.deepEqual(lost, [])
    assert.match(log.join('\n'), /^warning: auth\/passwd: line 1: the hash is not argon2id/)
  })

  it('stays in force when it goes away, and ends no session', async () => {
    await write()
    const source = open(true)
    assert.equal((await source.current()).size, 1)
    await rename(passwd(), `${passwd()}.away`)
    assert.equal((await source.current()).size, 1)
    assert.deepEqual(lost, [])
    assert.match(log.join('\n'), /^alert: auth\/passwd: it is missing.*stays in force$/)
    await rename(`${passwd()}.away`, passwd())
    assert.equal((await source.current()).size, 1)
    assert.equal(log.length, 1)
  })
})
