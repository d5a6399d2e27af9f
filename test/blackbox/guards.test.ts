/** One Quaver a home, one queue a store; and the two commands of the README as an ordinary user. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { programArguments } from '#test/kit/programs.ts'
import { demoAddress, Instance, launcher, root, run, until } from '#test/kit/instance.ts'
import { groupOf } from '#test/kit/processes.ts'
import { deliver } from '#test/kit/smtp-client.ts'
import { withoutOtherAccounts } from '#test/kit/tool.ts'

describe('one at a time', { concurrency: false }, () => {
  let instance: Instance
  before(async () => {
    instance = await Instance.start()
  })
  after(() => instance.end())

  const stillServes = (subject: string): Promise<void> =>
    deliver(instance.smtpPort, { from: 'a@client.test', to: [demoAddress], content: `Subject: ${subject}\r\n` })

  it('sends no message of its own where no tour is wanted', async () => {
    await until('the end of the start', 20_000, async () =>
      /Ctrl-C stops it/.test(await readFile(join(instance.home, 'log/terminal'), 'utf8')) ? true : undefined,
    )
    assert.equal((await instance.delivered()).size, 0)
  })

  it('a second start on the same home refuses, and the first serves on', async () => {
    const second = await run(launcher, ['start', '--demo', '--home', instance.home, '--smtp-port', '0'])
    assert.equal(second.code, 111)
    assert.match(second.stderr, /another 'quaver start' runs/)
    await stillServes('after a second start')
  })

  it('a second queue process on the same home refuses, and the first serves on', async () => {
    const second = await run(process.execPath, [...programArguments('queue'), '--home', instance.home, '--demo'])
    assert.equal(second.code, 111, second.stderr)
    assert.match(second.stderr, /queue: alert: cannot start: /)
    await stillServes('after a second queue')
  })
})

describe('a newcomer', () => {
  let clone = ''
  const isRoot = process.getuid?.() === 0
  /** nobody: an account that every machine has and that owns nothing. */
  const account = isRoot ? { uid: 65534, gid: 65534 } : {}
  before(async () => {
    clone = await mkdtemp(join(tmpdir(), 'quaver-clone-'))
    await copyTree(clone)
    // What `npm ci` does is tested by the CI run itself; its result is the same here.
    await symlink(join(root, 'node_modules'), join(clone, 'node_modules'))
    if (isRoot) await run('chown', ['-Rh', '65534:65534', clone])
  })
  after(() => rm(clone, { recursive: true, force: true, maxRetries: 3 }))

  it('npm start serves mail as an ordinary user and stops at Ctrl-C', {
    skip: isRoot && withoutOtherAccounts(),
  }, async () => {
    const env = { PATH: process.env['PATH'], HOME: clone }
    const args = ['start', '--', '--smtp-port', '0']
    const npm = spawn('npm', args, { cwd: clone, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'], ...account })
    let output = ''
    for (const stream of [npm.stdout, npm.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await once(npm, 'spawn')
    const group = npm.pid ?? 0
    try {
      const port = await until('the SMTP line', 90_000, () =>
        Promise.resolve(/SMTP +127\.0\.0\.1:(\d+)/.exec(output)?.[1]),
      ).catch(() => assert.fail(output))
      await deliver(Number(port), { from: 'a@client.test', to: [demoAddress], content: 'Subject: newcomer\r\n' })
      const directory = join(clone, '.quaver/mail/quaver.test/demo/Maildir/new')
      await until('the message', 20_000, async () => {
        const texts = await Promise.all(
          (await readdir(directory)).map((name) => readFile(join(directory, name), 'latin1')),
        )
        return texts.find((text) => text.includes('Subject: newcomer'))
      })
      process.kill(-group, 'SIGINT')
      await until('every process gone', 30_000, () => Promise.resolve(groupOf(group).length === 0 || undefined))
    } finally {
      if (groupOf(group).length > 0) process.kill(-group, 'SIGKILL')
    }
  })
})

/** The tree as git would clone it, and what is not committed yet. */
async function copyTree(to: string): Promise<void> {
  const listed = await run('git', ['-C', root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'])
  const names = listed.stdout.split('\0').filter((name) => name !== '')
  assert.ok(names.length > 0, listed.stderr)
  for (const name of names) {
    await mkdir(dirname(join(to, name)), { recursive: true })
    await cp(join(root, name), join(to, name)).catch((error: unknown) => {
      // Listed but deleted in the working tree.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    })
  }
}
