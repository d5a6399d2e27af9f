/** What `quaver status` and `quaver queue why` say when something is wrong: cause, place and remedy, and an exit code. */
import assert from 'node:assert/strict'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { toText } from '../../src/base/byte-string.ts'
import { type CommandResult, demoAddress, Instance, launcher, run, until } from '../kit/instance.ts'

interface Told {
  readonly program: string
  readonly kind: string
  readonly where: string
  readonly remedy: string
}

describe('troubles', { concurrency: false }, () => {
  let quaver: Instance | undefined
  const running = (): Instance => quaver ?? assert.fail('it does not run')
  const said = async (...args: readonly string[]): Promise<CommandResult> => {
    const { code, stdout, stderr } = await running().quaver(...args)
    return { code, stdout: toText(stdout), stderr: toText(stderr) }
  }
  const troubles = async (): Promise<readonly Told[]> => {
    const { code, stdout } = await said('status', '--json')
    const found = (JSON.parse(stdout) as { troubles: Told[] }).troubles
    assert.equal(code, found.length === 0 ? 0 : 1)
    return found
  }
  const untilTold = async (kind: string): Promise<Told> =>
    await until(kind, 20_000, async () => (await troubles()).find((one) => one.kind === kind))

  before(async () => {
    // Certificate and all, as `npm start` makes it.
    quaver = await Instance.start({ services: ['smtp', 'local', 'remote', 'pop3'] })
  })
  after(() => quaver?.end())

  it('none: status says nothing of them, and exits 0', async () => {
    const { code, stdout } = await said('status')
    assert.deepEqual([code, stdout.includes('trouble')], [0, false], stdout)
    assert.deepEqual(await troubles(), [])
  })

  it('a Maildir that is away: path and remedy in both, until it is back', async () => {
    const { maildir } = running()
    await rename(maildir, `${maildir}.away`)
    const sent = await running().quaverWith('Subject: x\n\nx\n', 'send', demoAddress)
    assert.equal(sent.code, 0, sent.stderr)
    const told = await untilTold('maildir-missing')
    assert.deepEqual([told.program, told.where], ['queue', `${maildir}/`])
    assert.match(told.remedy, /^mount what holds it, or make it/)
    const list = await said('queue', 'list', '--json')
    const [message] = JSON.parse(list.stdout) as { id: number }[]
    const why = await said('queue', 'why', String(message?.id))
    assert.match(why.stdout, /"Unable to chdir to maildir\. \(#4\.2\.1\)"/)
    assert.ok(why.stdout.includes(`Cause: a mailbox has no Maildir that can be entered (${maildir}/). To do: mount`))
    await rename(`${maildir}.away`, maildir)
    await running().drained(20_000)
    assert.deepEqual(await troubles(), [])
  })

  it('a control file that cannot be read, and a certificate that is gone', async () => {
    const path = join(running().home, 'control/badhelo')
    // Root reads what has mode 000, too.
    await mkdir(path)
    const told = await untilTold('unreadable')
    assert.deepEqual([told.program, told.where], ['smtpd', path])
    const { stdout } = await said('status')
    assert.match(
      stdout,
      /^trouble smtpd, for .*: a file cannot be read or written .*\n +.*EISDIR.*\n +to do: see owner/m,
    )
    await rm(path, { recursive: true })
    await rm(join(running().home, 'tls/cert.pem'))
    assert.equal((await untilTold('certificate-missing')).where, join(running().home, 'tls'))
    await until(
      'the line',
      10_000,
      async () => /warning: TLS: cert\.pem or key\.pem is gone/.test(await running().log()) || undefined,
    )
  })

  it('a program that ends again and again', async () => {
    await writeFile(join(running().home, 'control/queuelifetime'), '100\n')
    await rename(join(running().home, 'queue/queue.db'), join(running().home, 'queue/kept'))
    await mkdir(join(running().home, 'queue/queue.db'))
    await running().kill('queue')
    const told = await untilTold('restarting')
    assert.equal(told.program, 'queue')
    await rm(join(running().home, 'queue/queue.db'), { recursive: true })
    await rename(join(running().home, 'queue/kept'), join(running().home, 'queue/queue.db'))
    await running().pidOf('queue')
  })

  it('stopped: JSON all the same', async () => {
    await running().stop()
    const { code, stdout, stderr } = await said('status', '--json')
    assert.equal(code, 1)
    assert.deepEqual(JSON.parse(stdout), { home: running().home, running: false, troubles: [] })
    assert.match(stderr, /does not run/)
  })

  it('a home that is not there: JSON all the same', async () => {
    const { code, stdout, stderr } = await run(launcher, ['status', '--json', '--home', '/etc/passwd/x'])
    assert.equal(code, 1)
    assert.deepEqual(JSON.parse(stdout), { home: '/etc/passwd/x', running: false, troubles: [] })
    assert.match(stderr, /cannot be a home: \/etc\/passwd is no directory/)
  })

  it('a home that somebody named and that is not there: no command takes it for a right one', async () => {
    for (const [command, path, words] of [
      ['check', '/nowhere', /there is no home at \/nowhere \(--home says so\)/],
      ['check', '/etc/passwd', /cannot be a home: it is no directory/],
      ['status', '', /--home names no directory/],
    ] as const) {
      const { code, stderr } = await run(launcher, [command, '--home', path])
      assert.notEqual(code, 0)
      assert.match(stderr, words)
    }
  })
})
