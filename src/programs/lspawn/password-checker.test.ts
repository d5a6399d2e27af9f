/** Programs that speak checkpassword's interface, well and badly. Those that become somebody need root. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { without, withoutRoot } from '#test/kit/tool.ts'
import { realClock } from '../../system/clock.ts'
import { PasswordChecker } from './password-checker.ts'

const nobodyUid = 65534
const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0]

/** Reads descriptor 3 as a checkpassword does, and runs what follows. */
const honest = (become: string): string => `
open(my $in, '<&=3') or exit 111; binmode $in; local $/;
my $data = <$in>; close($in);
exit 2 if length $data > 512;
my ($name, $password) = split /\\0/, $data;
exit 1 if $password ne 'secret';
$ENV{USER} = $name; $ENV{HOME} = "/home/$name";
${become}
exec @ARGV; exit 111;
`
const becomeNobody = `$) = '${nobodyUid} ${nobodyUid}'; $( = ${nobodyUid}; $< = $> = ${nobodyUid};`

describe('password checker', () => {
  let directory = ''
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-checker-'))
  })
  after(() => rmSync(directory, { recursive: true }))

  let files = 0
  function program(text: string, interpreter = '/bin/sh'): string[] {
    const file = join(directory, `checker-${++files}`)
    writeFileSync(file, text)
    chmodSync(file, 0o755)
    return [interpreter, file]
  }

  function checker(command: readonly string[] | undefined, rootMayReceive = true) {
    const log: string[] = []
    const setting = { clock: realClock, log: (line: string) => log.push(line), directory, rootMayReceive }
    return { log, checker: new PasswordChecker({ ...setting, millisecondsMax: 3_000, command: () => command }) }
  }

  async function check(command: readonly string[] | undefined, password = 'secret', rootMayReceive = true) {
    const { checker: ours, log } = checker(command, rootMayReceive)
    return { found: await ours.check('joe', password), log: log.join('\n') }
  }

  const joe = { user: 'joe', uid, gid, home: '/home/joe' }

  it('takes the word of programs in sh, perl and python', { skip: without('perl', 'python3') }, async () => {
    const sh = `IFS= read -r all <&3 2>/dev/null
exec 3<&-
USER=joe HOME=/home/joe; export USER HOME
exec "$@"`
    const python = `
import os, sys
name, password = os.read(3, 512).split(b'\\0')[:2]
if password != b'secret': sys.exit(1)
os.environb[b'USER'], os.environb[b'HOME'] = name, b'/home/' + name
os.execvp(sys.argv[1], sys.argv[1:])`
    for (const command of [program(sh), program(honest(''), 'perl'), program(python, 'python3')]) {
      const { found, log } = await check(command)
      assert.deepEqual(found, joe, log)
    }
    for (const command of [program(honest(''), 'perl'), program(python, 'python3')])
      assert.deepEqual(await check(command, 'wrong'), { found: 'failed', log: '' })
  })

  it('takes the word of one that finds its options anywhere, as checkpassword-pam does', async () => {
    const script = `IFS= read -r all <&3 2>/dev/null
options=$(getopt -o s:d -- "$@") || exit 111
eval "set -- $options"
while [ "$1" != -- ]; do shift; done
shift
exec 3<&-
USER=joe HOME=/home/joe; export USER HOME
exec "$@"`
    const { found, log } = await check([...program(script), '-d', '-s', 'SERVICE'])
    assert.deepEqual(found, joe, log)
  })

  it('what it says on its standard error is told as its own', async () => {
    const { found, log } = await check(program("echo 'authd: failed-login' >&2; exit 111"))
    assert.equal(found, 'temporary')
    assert.deepEqual(log.split('\n').toSorted(), [
      'checkpassword: authd: failed-login',
      'warning: control/checkpassword: exit 111',
    ])
  })

  it('exit 1 refuses; 2, 111, a signal and success without a shell are temporary', async () => {
    assert.deepEqual(await check(program('exit 1')), { found: 'failed', log: '' })
    for (const [script, how] of [
      ['exit 2', 'exit 2'],
      ['exit 111', 'exit 111'],
      ['exit 0', 'exit 0'],
      ['kill -9 $$', 'signal SIGKILL'],
    ] as const)
      assert.deepEqual(await check(program(script)), {
        found: 'temporary',
        log: `warning: control/checkpassword: ${how}`,
      })
  })

  it('without a program nobody is right; one that is not there is an alarm and temporary', async () => {
    assert.deepEqual(await check(undefined), { found: 'failed', log: '' })
    const { found, log } = await check([join(directory, 'none')])
    assert.equal(found, 'temporary')
    assert.match(log, /^alert: control\/checkpassword: .*ENOENT/)
  })

  it('is not asked what its interface cannot carry', async () => {
    const touched = join(directory, 'touched')
    const { checker: ours } = checker(program(`touch ${touched}; exit 111`))
    for (const [name, password] of [
      ['jo\0e', 'secret'],
      ['joe', 'sec\0ret'],
      ['joe', 'x'.repeat(507)],
    ] as const)
      assert.equal(await ours.check(name, password), 'failed')
    assert.ok(!existsSync(touched))
    assert.equal(await ours.check('joe', 'x'.repeat(506)), 'temporary')
    assert.ok(existsSync(touched))
  })

  it('understands the shell behind whatever the program prints, also without a line end', async () => {
    for (const noise of ['echo garbage', 'printf garbage', 'printf "\\n\\n42 \\n"', 'head -c 100000 /dev/zero']) {
      const { found, log } = await check(program(`${noise}\nUSER=joe HOME=/home/joe; export USER HOME\nexec "$@"`))
      assert.deepEqual(found, joe, `${noise} ${log}`)
    }
  })

  it('one that hangs is ended, with what it started', async () => {
    const told = join(directory, 'pids')
    const { found, log } = await check(program(`sleep 300 & echo "$$ $!" > ${told}; wait`))
    assert.equal(found, 'temporary')
    assert.match(log, /^alert: control\/checkpassword: .*no answer in 3000 ms/)
    const pids = readFileSync(told, 'latin1').trim().split(' ')
    while (pids.some((pid) => isAlive(Number(pid)))) await new Promise((resolve) => setTimeout(resolve, 10))
  })

  it('the shell does not outlive the answer', async () => {
    const told = join(directory, 'shell')
    await check(program(`echo $$ > ${told}; HOME=/home/joe; export HOME; exec "$@"`))
    while (isAlive(Number(readFileSync(told, 'latin1')))) await new Promise((resolve) => setTimeout(resolve, 10))
  })

  it('is not told by a number who somebody is', async () => {
    // Another process, of another group: ours.
    const lie = await check(program(`echo ${process.pid}; sleep 10`))
    assert.deepEqual(lie, {
      found: 'temporary',
      log: 'warning: control/checkpassword: what it ran has left its process group',
    })
    const gone = await check(program('echo 4194304; sleep 10'))
    assert.equal(gone.found, 'temporary')
  })

  it('a shell that left the group is nobody’s', { skip: without('setsid') }, async () => {
    const { found, log } = await check(program('HOME=/home/joe; export HOME; exec setsid -f "$@"'))
    assert.equal(found, 'temporary')
    assert.match(log, /has left its process group|exit 0/)
  })

  it('keeps no descriptor open for what has left the group', { skip: without('setsid') }, async (t) => {
    const told = join(directory, 'left.')
    // Not before it has left: with its group it would be ended.
    const left = `setsid sh -c 'echo $$ > ${told}'$$'; exec sleep 300' & until [ -s ${told}$$ ]; do sleep 0.01; done;`
    const { checker: ours } = checker(program(`${left} HOME=/home/joe; export HOME; exec "$@"`))
    t.after(() => {
      const pids = readdirSync(directory).filter((name) => name.startsWith('left.'))
      for (const name of pids) process.kill(Number(readFileSync(join(directory, name), 'latin1')), 'SIGKILL')
      assert.equal(pids.length, 6)
    })
    await ours.check('joe', 'secret')
    const open = readdirSync('/proc/self/fd').length
    for (let n = 0; n < 5; n++) assert.notEqual(await ours.check('joe', 'secret'), 'temporary')
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(readdirSync('/proc/self/fd').length, open)
  })

  it('a home must be one', async () => {
    for (const home of ['unset HOME', 'HOME=', 'HOME=here', `HOME=/${'x'.repeat(5000)}`]) {
      const { found, log } = await check(program(`${home}; export HOME; exec "$@"`))
      assert.equal(found, 'temporary', home.slice(0, 20))
      assert.match(log, /^warning: control\/checkpassword: (?:it set no HOME|its HOME or USER is too long)$/)
    }
  })

  it('so many at once; the next are temporary', async () => {
    const { checker: ours } = checker(program('exit 1'))
    const answers = await Promise.all(Array.from({ length: 25 }, () => ours.check('joe', 'secret')))
    assert.equal(answers.filter((one) => one === 'temporary').length, 5)
    assert.equal(await ours.check('joe', 'secret'), 'failed')
  })

  it('a program that cannot be started for want of descriptors does not end the process', async () => {
    const script = `
      import { openSync } from 'node:fs'
      import { PasswordChecker } from ${JSON.stringify(join(import.meta.dirname, 'password-checker.ts'))}
      import { realClock as clock } from ${JSON.stringify(join(import.meta.dirname, '../../system/clock.ts'))}
      const setting = { clock, log: (line) => console.log(line), directory: '/', rootMayReceive: true }
      const checker = new PasswordChecker({ ...setting, command: () => ['/bin/sh', '-c', 'exit 1'] })
      try { for (;;) openSync('/dev/null') } catch {}
      console.log(await checker.check('joe', 'secret'))
      setTimeout(() => console.log('well'), 100)`
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script]
    const output = execFileSync('/bin/sh', ['-c', 'ulimit -n 100; exec "$@"', 'sh', ...node], { encoding: 'utf8' })
    assert.match(output, /^alert: control\/checkpassword: .*\ntemporary\nwell\n$/)
  })

  describe('as root', { skip: withoutRoot() }, () => {
    it('the user is whom the program became, by the kernel’s word', { skip: without('perl') }, async () => {
      const { found, log } = await check(program(honest(becomeNobody), 'perl'), 'secret', false)
      assert.deepEqual(found, { user: 'joe', uid: nobodyUid, gid: nobodyUid, home: '/home/joe' }, log)
    })

    it('root’s right password is a wrong one', { skip: without('perl') }, async () => {
      const { found, log } = await check(program(honest(''), 'perl'), 'secret', false)
      assert.deepEqual({ found, log }, { found: 'failed', log: '' })
    })

    it('who names the process of root that started it is root, and refused', { skip: without('perl') }, async () => {
      const lie = `if (fork) { wait; exit 0 } my $root = getppid; ${becomeNobody} @ARGV = ('/bin/sh', '-c', "echo $root; sleep 10");`
      const { found } = await check(program(honest(lie), 'perl'), 'secret', false)
      assert.equal(found, 'failed')
    })

    it('Debian’s cvm: cvm-checkpassword with cvm-pwfile', {
      skip: without('cvm-checkpassword', 'cvm-pwfile'),
    }, async () => {
      const file = join(directory, 'pwfile')
      writeFileSync(file, 'joe:secret:12345:12346:Joe:/tmp:/bin/sh\n')
      const command = ['env', `CVM_PWFILE_PATH=${file}`, 'cvm-checkpassword', 'cvm-pwfile']
      const good = await check(command, 'secret', false)
      assert.deepEqual(good.found, { user: 'joe', uid: 12345, gid: 12346, home: '/tmp' }, good.log)
      const bad = await check(command, 'wrong', false)
      assert.equal(bad.found, 'failed')
    })
  })
})

function isAlive(pid: number): boolean {
  try {
    // A zombie is still there, but runs no more.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return false
  }
}
