/** The demo as a newcomer sees it: the real command, the real programs, loopback, a free port. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'

const root = join(import.meta.dirname, '../..')
const launcher = join(root, 'bin/quaver')
const waitMillisecondsMax = 60_000

let directory = ''
let home = ''
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'quaver-demo-'))
  home = join(directory, 'home')
})
after(() => rmSync(directory, { recursive: true, force: true }))

describe('demo', { concurrency: false }, () => {
  it('makes its home, shows the way of a message, and stops at INT', async () => {
    const demo = new Demo()
    await demo.until(/It runs until Ctrl-C/)
    const password = readFileSync(join(home, 'demo-password'), 'utf8').trim()
    assert.ok(demo.output.includes(password), 'the password is shown')
    assert.equal(statSync(join(home, 'demo-password')).mode & 0o777, 0o600)
    for (const step of ['connected', 'accepted', 'committed', 'attempt', 'delivered'])
      assert.match(demo.output, new RegExp(`\\d+ ms  ${step} `))
    const file = /in file +(\S+)/.exec(demo.output)?.[1] ?? ''
    assert.match(readFileSync(file, 'latin1'), /\nSubject: It works\n/)

    const status = await quaver(['status', '--json'])
    assert.equal(status.code, 0)
    const { programs } = JSON.parse(status.stdout) as { programs: { program: string; state: string }[] }
    assert.deepEqual(
      programs.map(({ program, state }) => `${program} ${state}`),
      ['queue', 'lspawn', 'remote', 'policy', 'exec', 'smtpd', 'authd', 'ofmipd', 'pop3d'].map(
        (program) => `${program} running`,
      ),
    )

    const sent = await quaver(['send', '--json', 'demo+tag@quaver.test'], 'Subject: sent\n\nhello\n')
    assert.match(sent.stdout, /^\{"id":\d+\}\n$/)
    await waitFor(() => mail().some((text) => text.includes('Subject: sent')))

    demo.process.kill('SIGINT')
    demo.process.kill('SIGINT')
    assert.equal(await demo.ended(), 0)
    assert.match(demo.output, /stopped/)
    assert.doesNotMatch(demo.output, /  ! /)
    assert.ok(!everyFile().includes(password), 'the password is in no other file')
  })

  it('with nothing running, mail waits in the drop directory, also by qmail-queue', async () => {
    const sent = await quaver(['send', 'demo@quaver.test'], 'Subject: waited\n\nhello\n')
    assert.equal(sent.code, 0)
    assert.match(sent.stdout, /Quaver does not run; the message is safe in/)
    assert.equal(await qmailQueue('Subject: injected\n\nhello\n', 'Fa@b.test\0Tdemo@quaver.test\0\0'), 0)
    assert.equal(await qmailQueue('Subject: broken off\n\nhello\n', 'Fa@b.test\0Tdemo@quaver.test\0'), 54)
    assert.equal(await qmailQueue('Subject: bad\n\nhello\n', 'a@b.test\0\0'), 91)
    assert.equal(readdirSync(join(home, 'queue/drop')).length, 2)
    const status = await quaver(['status'])
    assert.equal(status.code, 1)
    assert.match(status.stderr, /does not run on .*: start it with/)
  })

  it('a second start finds the same mail, takes the dropped, and stops by command', async () => {
    const count = mail().length
    // Through a symlink, as npx makes one.
    const link = join(directory, 'quaver')
    symlinkSync(launcher, link)
    const demo = new Demo(link)
    await demo.until(/It runs until Ctrl-C/)
    assert.match(demo.output, /nothing: all is there from before/)
    await waitFor(() =>
      ['waited', 'injected'].every((word) => mail().some((text) => text.includes(`Subject: ${word}`))),
    )
    assert.equal(mail().length, count + 3)
    assert.deepEqual(readdirSync(join(home, 'queue/drop')), [])
    const second = await quaver(['start', '--demo', '--smtp-port', '0'])
    assert.equal(second.code, 111)
    assert.match(second.stderr, /another 'quaver start' runs/)
    const stopped = await quaver(['stop'])
    assert.equal(stopped.code, 0)
    assert.equal(await demo.ended(), 0)
    assert.equal(existsSync(join(home, 'run/start.sock')), false)
  })
})

class Demo {
  readonly process: ChildProcess
  output = ''
  private readonly exit: Promise<unknown[]>

  constructor(command = launcher) {
    this.process = spawn(command, ['start', '--demo', '--home', home, '--smtp-port', '0'], { cwd: directory })
    this.exit = once(this.process, 'exit')
    for (const stream of [this.process.stdout, this.process.stderr])
      stream?.setEncoding('utf8').on('data', (part: string) => (this.output += part))
  }

  async until(pattern: RegExp): Promise<void> {
    await waitFor(() => {
      assert.equal(this.process.exitCode, null, this.output)
      return pattern.test(this.output)
    })
  }

  async ended(): Promise<unknown> {
    return (await this.exit)[0]
  }
}

interface Answer {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function quaver(args: readonly string[], input = ''): Promise<Answer> {
  return new Promise((resolve) => {
    const child = execFile(
      launcher,
      [...args, '--home', home],
      { cwd: directory, timeout: waitMillisecondsMax },
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    )
    child.stdin?.end(input)
  })
}

/** As an injector does: the message on descriptor 0, then the envelope on descriptor 1. */
async function qmailQueue(message: string, envelope: string): Promise<unknown> {
  const child = spawn(join(home, 'bin/qmail-queue'), { stdio: ['pipe', 'overlapped', 'inherit'], cwd: home })
  const exit = once(child, 'exit')
  child.stdin.end(message)
  // Node's pipes are sockets, open both ways.
  const envelopeSide = child.stdout as unknown as NodeJS.WritableStream
  envelopeSide.end(envelope)
  return (await exit)[0]
}

function mail(): string[] {
  const folder = join(home, 'mail/quaver.test/demo/Maildir/new')
  return readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'))
}

/** Everything below the home but the password's own file and sockets. */
function everyFile(): string {
  const names = readdirSync(home, { recursive: true, withFileTypes: true })
  const files = names.filter((entry) => entry.isFile() && entry.name !== 'demo-password')
  return files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')).join('\n')
}

async function waitFor(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + waitMillisecondsMax
  while (!holds()) {
    assert.ok(performance.now() < deadline, `not in time: ${String(holds)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
