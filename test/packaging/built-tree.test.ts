/** What a package installs runs as the clone does: without node_modules, sources or npm, from any place. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { demoAddress, everyService, Instance, root, run } from '#test/kit/instance.ts'
import { MailClient } from '#test/kit/mail-client.ts'
import { bundle } from '../../packaging/bundle.ts'
import { stage } from '../../packaging/stage.ts'

const epoch = 1_700_000_000
const password = 'Grüße aus Köln'
const architecture = process.arch === 'arm64' ? 'arm64' : 'x64'

describe('the installed tree', { concurrency: false }, () => {
  let destination = ''
  let launcher = ''
  let quaver: Instance
  before(async () => {
    destination = await mkdtemp(join(tmpdir(), 'quaver-tree-'))
    await stage({ root, destination, prefix: '/usr', architecture, epoch, onProgress: () => undefined })
    launcher = join(destination, 'usr/bin/quaver')
    quaver = await Instance.start({ services: everyService, launcher })
  })
  after(async () => {
    await quaver.end()
    await rm(destination, { recursive: true, force: true })
  })
  const ask = (...args: readonly string[]) => run(launcher, [...args, '--home', quaver.home])

  it('brings its own runtime, and every process runs on it', async () => {
    const pid = await quaver.pidOf('policy')
    const command = (await readFile(`/proc/${pid}/cmdline`, 'latin1')).split('\0')
    assert.equal(command[0], join(destination, 'usr/lib/quaver/runtime/node'))
    assert.ok(command.includes(join(destination, 'usr/lib/quaver/app/programs/policy/main.js')), command.join(' '))
  })

  it('takes a login with a password that is not ASCII, and delivers what is submitted', async () => {
    const set = await run(
      launcher,
      ['account', 'password', demoAddress, '--password-stdin', '--home', quaver.home],
      password,
    )
    assert.equal(set.code, 0, set.stderr)
    const client = new MailClient({ port: quaver.portOf('submissions') })
    await client.until(/^220 .*\r\n/)
    await client.say('EHLO client.test', /^250 .*\r\n/m)
    const proof = Buffer.from(`\0${demoAddress}\0${password}`).toString('base64')
    assert.match(await client.say(`AUTH PLAIN ${proof}`), /^235 /)
    assert.match(await client.say(`MAIL FROM:<${demoAddress}>`), /^250 /)
    assert.match(await client.say(`RCPT TO:<${demoAddress}>`), /^250 /)
    assert.match(await client.say('DATA'), /^354 /)
    assert.match(await client.say(`From: ${demoAddress}\r\nSubject: built\r\n\r\nHello.\r\n.`), /^250 /)
    client.end()
    await quaver.message((content) => content.includes('\nSubject: built\n'), 'the submitted message')
  })

  it('has qmail’s programs beside its launcher, and those on the PATH whose names nobody else has', async () => {
    const sendmail = join(destination, 'usr/lib/quaver/bin/sendmail')
    const sent = await run(
      '/usr/bin/env',
      [`QUAVER_HOME=${quaver.home}`, sendmail, '-t'],
      `To: ${demoAddress}\nX-By: sendmail\n\n`,
    )
    assert.deepEqual(sent, { code: 0, stdout: '', stderr: '' })
    await quaver.message((content) => content.includes('\nX-By: sendmail\n'), 'what sendmail handed in')
    const counted = await run(join(destination, 'usr/bin/qmail-qstat'), ['--home', quaver.home])
    assert.match(counted.stdout, /^messages in queue: \d+\n/)
    assert.ok(!existsSync(join(destination, 'usr/bin/sendmail')))
    const smtpd = await run(join(destination, 'usr/bin/qmail-smtpd'), ['--home', quaver.home], 'QUIT\r\n')
    assert.deepEqual([smtpd.code, smtpd.stdout], [0, '220 quaver.test ESMTP\r\n221 quaver.test\r\n'], smtpd.stderr)
  })

  it('says of a stranger what the clone says', async () => {
    const request = ['smtp', 'explain', '--ip', '192.0.2.1', '--from', 'a@spf.test', '--to', demoAddress, '--json']
    const [built, cloned] = [await ask(...request), await quaver.quaver(...request)]
    assert.deepEqual([built.code, built.stderr], [cloned.code, cloned.stderr])
    assert.match(built.stdout, /SPF/i)
  })
})

it('a bundle holds nothing of the machine that made it', async () => {
  const { code, packages } = await bundle(root, 'src/programs/authd/main.ts')
  assert.ok(!code.includes(root))
  assert.ok(packages.includes('@mongodb-js/saslprep'), packages.join(' '))
  assert.equal((await bundle(root, 'src/programs/authd/main.ts')).code, code)
})

it('a quick bundle loads a part of Node where it is used', async () => {
  const { code } = await bundle(root, 'src/programs/qmail/main.ts', true)
  assert.doesNotMatch(code, /^(?:let|const|var) \w+ = require\(/m)
  assert.match(code, /^const builtin = \{ get node_path\(\) \{ return require\("node:path"\); \}/)
})
