/** The files for init systems: those whose programs this machine has are run on a system home, the others are held against
 *  what is known to be right for them (golden files; UPDATE_GOLDEN=1 writes them anew). */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { initSystemNames, initSystems, type InitSystemName } from '../../src/programs/quaver/services/systems.ts'
import { launcher, run, until } from '#test/kit/instance.ts'
import { rolesFile, withoutSystemHome } from '#test/kit/system-instance.ts'
import { without } from '#test/kit/tool.ts'

const golden = join(import.meta.dirname, 'services')
const waitMillisecondsMax = 60_000
const pollMilliseconds = 100

describe('files for init systems', () => {
  const service = { launcher: '/usr/lib/quaver/bin/quaver', home: '/var/lib/quaver', configuration: ['/etc/quaver'] }
  for (const name of initSystemNames) {
    it(`${name}: are as known`, () => {
      const text = initSystems[name]
        .files(service)
        .map((file) => `==> ${file.path} ${file.mode.toString(8)}\n${file.text}`)
        .join('\n')
      const path = join(golden, `${name}.txt`)
      if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, text)
      assert.equal(text, readFileSync(path, 'utf8'))
    })
  }

  it('name a home with a blank, a quote and a per cent sign so that it stays one word', () => {
    const odd = { launcher: '/opt/quaver/bin/quaver', home: "/srv/it's 5%", configuration: [] }
    const [script] = initSystems.sysv.files(odd)
    const shown = spawnSync('sh', ['-c', `${(script?.text ?? '').split('\ncase')[0]}\necho() { :; }; type quaver`], {
      encoding: 'utf8',
    })
    assert.equal(shown.status, 0, shown.stderr)
    assert.match(initSystems.systemd.files(odd)[0]?.text ?? '', /--home "\/srv\/it's 5%%" /)
  })

  it('are shell that every shell can read', () => {
    for (const name of ['runit', 's6', 'daemontools', 'sysv', 'openrc', 'netbsd', 'freebsd', 'openbsd'] as const)
      for (const { path, text, mode } of initSystems[name].files(service)) {
        if ((mode & 0o111) === 0) continue
        const { status, stderr } = spawnSync('sh', ['-n'], { input: text, encoding: 'utf8' })
        assert.equal(status, 0, `${path}: ${stderr}`)
      }
  })

  it('systemd finds nothing wrong, and the unit well closed', { skip: without('systemd-analyze') }, () => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-unit-'))
    try {
      const [unit] = initSystems.systemd.files({ ...service, launcher })
      const path = join(directory, basename(unit?.path ?? ''))
      writeFileSync(path, unit?.text ?? '')
      const verified = spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' })
      const told = verified.stderr.split('\n').filter((line) => line.includes('quaver.service'))
      assert.deepEqual(told, [])
      const checked = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', path], {
        encoding: 'utf8',
      })
      const exposure = Number(/exposure level for quaver.service: (\d+\.\d+)/.exec(checked.stdout)?.[1])
      assert.ok(exposure < 5, `${exposure}: ${checked.stdout}${checked.stderr}`)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

describe('services that run', { concurrency: false, skip: withoutSystemHome() }, () => {
  const base = mkdtempSync(join('/tmp', 'quaver-boot-'))
  const home = join(base, 'home')
  before(() => {
    spawnSync('chmod', ['755', base])
    mkdirSync(join(home, 'control'), { recursive: true })
    for (const [name, text] of Object.entries({
      me: 'mail.example.test\n',
      roles: rolesFile,
      services: 'remote\n',
      log: 'stderr\n',
    }))
      writeFileSync(join(home, 'control', name), text)
  })
  after(async () => {
    await quaver('stop')
    rmSync(base, { recursive: true, force: true })
  })

  const quaver = (...args: readonly string[]) => run(launcher, [...args, '--home', home])
  const isRunning = async (): Promise<boolean> => (await quaver('status', '--json')).stdout.includes('"running":true')
  const untilRuns = (wanted: boolean) =>
    until(
      `running: ${wanted}`,
      waitMillisecondsMax,
      async () => (await isRunning()) === wanted || undefined,
      pollMilliseconds,
    )

  /** Writes the files below a directory of the test; the first one's path. */
  function write(name: InitSystemName): string {
    const files = initSystems[name].files({ launcher, home, configuration: [] })
    for (const { path, text, mode } of files) {
      mkdirSync(dirname(join(base, name, path)), { recursive: true })
      const placed = text
        .replaceAll('/var/log/quaver', join(base, name, 'log'))
        .replaceAll('/run/quaver.pid', join(base, 'pid'))
      writeFileSync(join(base, name, path), placed, { mode })
    }
    return join(base, name, files[0]?.path ?? '')
  }

  it('as a script of SysV init, with the words that qmail’s administrators know', async () => {
    const script = write('sysv')
    const call = (word: string) => run(script, [word])
    assert.deepEqual(await call('start'), { code: 0, stdout: 'Starting Quaver mail server: quaver\n', stderr: '' })
    assert.ok(await isRunning())
    assert.match(readFileSync(join(base, 'pid'), 'utf8'), /^\d+\n$/)
    assert.equal((await call('start')).code, 0)
    assert.equal((await call('status')).code, 0)
    assert.match((await call('pause')).stdout, /^paused: 2 programs/)
    assert.match((await call('cont')).stdout, /^resumed: 2 programs/)
    for (const word of ['doqueue', 'queue', 'reload', 'cdb', 'stat']) {
      const { code, stderr } = await call(word)
      assert.equal(code, 0, `${word}: ${stderr}`)
    }
    await call('pause')
    assert.equal((await call('stop')).code, 0, 'what is paused stops, too')
    assert.ok(!(await isRunning()))
    assert.ok(!existsSync(join(base, 'pid')))
    assert.equal((await call('status')).code, 3)
    assert.equal((await call('nonsense')).code, 2)
  })

  it('in the background says why it cannot start, and leaves nothing running', async () => {
    writeFileSync(join(home, 'control/services'), 'nonsense\n')
    try {
      const { code, stderr } = await quaver('start', '--background')
      assert.equal(code, 2)
      assert.match(stderr, /^quaver: control\/services: 'nonsense' is no service/)
    } finally {
      writeFileSync(join(home, 'control/services'), 'remote\n')
    }
  })

  it('under runit', { skip: without('runsv', 'sv', 'svlogd') }, async () => {
    const directory = dirname(write('runit'))
    const supervisor = spawn('runsv', [directory], { stdio: 'ignore' })
    await untilRuns(true)
    assert.equal(spawnSync('sv', ['-w', '20', 'check', directory]).status, 0)
    spawnSync('sv', ['hup', directory])
    assert.equal(spawnSync('sv', ['-w', '30', 'exit', directory]).status, 0)
    await new Promise((resolve) => (supervisor.exitCode === null ? supervisor.once('exit', resolve) : resolve(0)))
    assert.ok(!(await isRunning()))
    assert.match(readFileSync(join(base, 'runit/log/current'), 'utf8'), /start: remote runs/)
  })

  it('under s6, which is told when it serves', { skip: without('s6-supervise', 's6-svwait', 's6-svc') }, async () => {
    const directory = dirname(write('s6'))
    const supervisor = spawn('s6-supervise', [directory], { stdio: 'ignore' })
    await until(
      's6-supervise',
      waitMillisecondsMax,
      async () => existsSync(join(directory, 'supervise/control')) || undefined,
      pollMilliseconds,
    )
    assert.equal(spawnSync('s6-svwait', ['-U', '-t', '30000', directory]).status, 0)
    assert.ok(await isRunning())
    spawnSync('s6-svc', ['-dx', directory])
    await new Promise((resolve) => (supervisor.exitCode === null ? supervisor.once('exit', resolve) : resolve(0)))
    assert.ok(!(await isRunning()))
  })

  it('under daemontools', { skip: without('supervise', 'svc', 'svok') }, async () => {
    const directory = dirname(write('daemontools'))
    const supervisor = spawn('supervise', [directory], { stdio: 'ignore' })
    await untilRuns(true)
    spawnSync('svc', ['-dx', directory])
    await new Promise((resolve) => (supervisor.exitCode === null ? supervisor.once('exit', resolve) : resolve(0)))
    assert.ok(!(await isRunning()))
  })

  it('tells systemd that it serves, and again and again that it lives', { skip: without('python3') }, async () => {
    const socket = join(base, 'notify')
    const listener = spawn(
      'python3',
      [
        '-c',
        `import socket,sys
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.bind(sys.argv[1]);s.settimeout(30);print('bound',flush=True)
for _ in range(3): print(s.recv(4096).decode().replace('\\n','|'),flush=True)`,
        socket,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    let said = ''
    listener.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await until('the listener', waitMillisecondsMax, async () => said.includes('bound') || undefined, pollMilliseconds)
    const start = spawn(launcher, ['start', '--home', home], {
      stdio: 'ignore',
      env: { ...process.env, NOTIFY_SOCKET: socket, WATCHDOG_USEC: '400000' },
    })
    await new Promise((resolve) => listener.once('exit', resolve))
    start.kill('SIGTERM')
    await new Promise((resolve) => start.once('exit', resolve))
    assert.deepEqual(said.trim().split('\n'), ['bound', 'STATUS=serves|READY=1|', 'WATCHDOG=1|', 'WATCHDOG=1|'])
  })

  it('as a service of OpenRC', {
    skip: without('openrc-run', 'rc-service') || existsSync('/etc/init.d/quaver') ? 'not here' : withoutLink(),
  }, async () => {
    const script = write('openrc')
    symlinkSync(script, '/etc/init.d/quaver')
    // OpenRC runs nothing where it believes that it did not boot.
    const level = '/run/openrc/softlevel'
    const booted = existsSync(level)
    if (!booted) {
      mkdirSync(dirname(level), { recursive: true })
      writeFileSync(level, '')
    }
    try {
      const call = (word: string) => run('/etc/init.d/quaver', ['--nodeps', word])
      const started = await call('start')
      assert.equal(started.code, 0, started.stdout + started.stderr)
      assert.ok(await isRunning())
      assert.equal((await call('doqueue')).code, 0)
      assert.equal((await call('stop')).code, 0)
      assert.ok(!(await isRunning()))
    } finally {
      rmSync('/etc/init.d/quaver')
      if (!booted) rmSync(level)
    }
  })
})

/** OpenRC takes no service from elsewhere: the test links one, and only where somebody says that it may. */
function withoutLink(): string | false {
  return process.env['QUAVER_TEST_OPENRC'] === '1' ? false : 'set QUAVER_TEST_OPENRC=1: it links /etc/init.d/quaver'
}
