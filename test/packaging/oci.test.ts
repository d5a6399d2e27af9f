/** The OCI image: its layout holds together, the same tree on the same root gives the same bytes, and it serves when it is run
 *  from its root file system, as a runtime of containers would run it. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { oci } from '../../packaging/oci.ts'
import { stage } from '../../packaging/stage.ts'
import { keptRoot, withoutCleanRoot } from '#test/kit/clean-root.ts'
import { root as repository, run, until } from '#test/kit/instance.ts'

const epoch = 1_700_000_000
const architecture = process.arch === 'arm64' ? 'arm64' : 'x64'

interface Described {
  readonly digest: string
  readonly size: number
}

interface Config {
  readonly config: {
    readonly Entrypoint: string[]
    readonly Cmd: string[]
    readonly Volumes: object
    readonly StopSignal: string
  }
  readonly rootfs: { readonly diff_ids: string[] }
}

/** Every blob by what it says of itself; the layers' plain bytes in their order. */
function read(layout: string): { readonly config: Config; readonly layers: Buffer[] } {
  const blob = ({ digest, size }: Described): Buffer => {
    const bytes = readFileSync(join(layout, 'blobs', digest.replace(':', '/')))
    assert.equal(bytes.length, size)
    assert.equal(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, digest)
    return bytes
  }
  const json = (bytes: Buffer): unknown => JSON.parse(bytes.toString('utf8'))
  assert.deepEqual(json(readFileSync(join(layout, 'oci-layout'))), { imageLayoutVersion: '1.0.0' })
  const index = json(readFileSync(join(layout, 'index.json'))) as { manifests: Described[] }
  const manifest = json(blob(index.manifests[0] ?? assert.fail('no manifest'))) as {
    config: Described
    layers: Described[]
  }
  const config = json(blob(manifest.config)) as Config
  const layers = manifest.layers.map((one) => gunzipSync(blob(one)))
  assert.deepEqual(
    config.rootfs.diff_ids,
    layers.map((bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`),
  )
  assert.equal(readdirSync(join(layout, 'blobs/sha256')).length, 2 + layers.length, 'nothing that nobody names')
  return { config, layers }
}

function unpack(image: string, into: string): string {
  mkdirSync(into, { recursive: true })
  execFileSync('tar', ['-xf', image, '-C', into])
  return into
}

describe('an OCI image', () => {
  const work = mkdtempSync(join(tmpdir(), 'quaver-oci-test-'))
  const base = join(work, 'base.tar')
  after(() => rmSync(work, { recursive: true, force: true }))

  /** A tree of a few files. */
  async function make(name: string): Promise<string> {
    const [staged, directory] = [join(work, name, 'staged'), join(work, name)]
    mkdirSync(join(staged, 'usr/bin'), { recursive: true })
    writeFileSync(join(staged, 'usr/bin/quaver'), '#!/bin/sh\n', { mode: 0o755 })
    return await oci({ staged, version: '1.2.3', architecture, epoch, directory, base })
  }

  before(() => {
    mkdirSync(join(work, 'root/etc'), { recursive: true })
    writeFileSync(join(work, 'root/etc/passwd'), 'root:x:0:0::/root:/bin/sh\nqmaild:x:77:77::/:/bin/false\n')
    writeFileSync(join(work, 'root/etc/group'), 'root:x:0:\n')
    writeFileSync(join(work, 'root/etc/shadow'), 'root:*:::::::\n')
    execFileSync('tar', ['-cf', base, '-C', join(work, 'root'), '.'])
  })

  it('holds together, and says how it is run', async () => {
    const { config, layers } = read(unpack(await make('one'), join(work, 'layout')))
    assert.deepEqual([config.config.Entrypoint, config.config.Cmd], [['/usr/bin/quaver'], ['start', '--log', 'stderr']])
    assert.deepEqual(Object.keys(config.config.Volumes), ['/etc/quaver', '/var/lib/quaver'])
    assert.ok(layers[0]?.equals(readFileSync(base)), 'the root file system is as it was given')
    writeFileSync(join(work, 'own.tar'), layers[1] ?? '')
    const passwd = execFileSync('tar', ['-xOf', join(work, 'own.tar'), './etc/passwd'], { encoding: 'utf8' })
    assert.match(passwd, /^root:x:0:0/)
    assert.match(passwd, /^qmailq:x:308\d\d:308\d\d::\/var\/lib\/quaver:/m)
    assert.equal(passwd.match(/^qmaild:/gm)?.length, 1, 'an account that is there keeps its number')
    const listed = execFileSync('tar', ['-tvf', join(work, 'own.tar'), '--numeric-owner'], { encoding: 'utf8' })
    assert.ok(
      listed
        .trimEnd()
        .split('\n')
        .every((line) => / 0\/0 /.test(line)),
    )
    assert.match(listed, /^-rw------- .*\.\/etc\/shadow$/m)
  })

  it('has the same bytes each time', async () => {
    assert.ok(readFileSync(await make('two')).equals(readFileSync(await make('three'))))
  })

  it('takes a root file system only, and not a compressed one', async () => {
    writeFileSync(base, gzipSync(readFileSync(base)))
    await assert.rejects(make('four'), /gunzip it first/)
    execFileSync('tar', ['-cf', base, '-C', work, 'root/etc/group'])
    await assert.rejects(make('five'), /has no etc\/passwd/)
    assert.deepEqual(
      readdirSync(join(work, 'five')).filter((name) => name.endsWith('.tar')),
      [],
    )
  })
})

describe('the OCI image', { concurrency: false, skip: withoutCleanRoot() }, () => {
  const work = mkdtempSync(join(tmpdir(), 'quaver-oci-test-'))
  const rootfs = join(work, 'rootfs')
  before(async () => {
    const base = join(work, 'base.tar')
    execFileSync('tar', ['-cf', base, '--numeric-owner', '-C', keptRoot(), '.'])
    const staged = join(work, 'staged')
    mkdirSync(staged)
    const onProgress = (): void => undefined
    await stage({ root: repository, destination: staged, prefix: '/usr', architecture, epoch, onProgress })
    const image = await oci({ staged, version: '0.1.0', architecture, epoch, directory: work, base })
    const { layers } = read(unpack(image, join(work, 'layout')))
    mkdirSync(rootfs)
    for (const layer of layers) execFileSync('tar', ['-xp', '--numeric-owner', '-C', rootfs], { input: layer })
  })
  after(() => rmSync(work, { recursive: true, force: true }))

  const capabilities = [
    '-all',
    ...['chown', 'dac_override', 'fowner', 'fsetid', 'kill', 'net_bind_service', 'setgid', 'setuid'].map(
      (name) => `+${name}`,
    ),
  ].join()
  /** As a container: processes, mounts, names and a network of its own, and no more capabilities than it needs. */
  const contained = (...args: readonly string[]): readonly string[] => [
    ...['--mount', '--net', '--uts', '--ipc', '--pid', '--fork', '--kill-child=SIGKILL'],
    ...[
      'sh',
      '-c',
      `ip link set lo up; mount -t proc proc "$0/proc"; exec chroot "$0" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv --bounding-set '${capabilities}' "$@"`,
    ],
    ...[rootfs, ...args],
  ]

  it('is set up in its volumes, serves as process 1, and ends at TERM', async () => {
    const ignored = ['resolver', 'outgoing', 'clock', 'memory', 'disk', 'room'].flatMap((check) => ['--ignore', check])
    const setup = ['setup', 'you@example.org', '--host', 'mail.example.org', '--service', 'none', '--yes', ...ignored]
    const made = await run('unshare', contained('/usr/bin/quaver', ...setup))
    assert.equal(made.code, 0, made.stderr + made.stdout)
    assert.ok(!/the account qmail\w of this machine/.test(made.stdout), 'accounts are in the image')
    assert.equal(statSync(join(rootfs, 'var/lib/quaver/queue')).uid > 30_800, true)
    const child = spawn('unshare', contained('/usr/bin/quaver', 'start', '--log', 'stderr'), {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const ended = once(child, 'exit')
    let log = ''
    child.stderr?.setEncoding('latin1').on('data', (text: string) => (log += text))
    try {
      const pid = await until('process 1', 20_000, () => {
        const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()
        return Promise.resolve(children === '' ? undefined : Number(children))
      })
      const inside = ['--target', String(pid), '--mount', '--net', '--uts', '--pid', 'chroot', rootfs]
      await until('everything that serves', 60_000, async () => {
        return (await run('nsenter', [...inside, '/usr/bin/quaver', 'status'])).code === 0 ? true : undefined
      }).catch((error: unknown) => assert.fail(`${String(error)}: ${log}`))
      const sent = await run(
        'nsenter',
        [...inside, '/usr/bin/quaver', 'send', 'you@example.org'],
        'Subject: in a box\n\nHello.\n',
      )
      assert.equal(sent.code, 0, sent.stderr)
      const maildir = join(rootfs, 'var/lib/quaver/mail/example.org/you/Maildir/new')
      await until('the message', 20_000, () => Promise.resolve(readdirSync(maildir).length > 0 ? true : undefined))
      process.kill(pid, 'SIGTERM')
      assert.deepEqual(await ended, [0, null], log)
    } finally {
      child.kill('SIGKILL')
    }
  })
})
