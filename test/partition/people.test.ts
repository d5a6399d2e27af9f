/** Two users of a machine, and two accounts that share one: who sees and sends what, as whom each process runs, and what
 *  the front's account can open. A system home, started by root; skipped where that cannot be tried. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { launcher, until } from '#test/kit/instance.ts'
import { Authority } from '#test/kit/certificates.ts'
import { deliver } from '#test/kit/smtp-client.ts'
import { MailClient, popLogin, smtpLogin } from '#test/kit/mail-client.ts'
import { allProcesses, commandLine, programOf, treeOf } from '#test/kit/processes.ts'
import { rolesFile, roles, uidOf, withoutSystemHome } from '#test/kit/system-instance.ts'

const waitMillisecondsMax = 60_000
const notAllowed = /^55[034] 5\.7\.1 sorry, you may not send as /
/** Whose mail it is: one account of the machine each, and one for both of two.example. */
const owners = {
  'anna@one.example': 'bin',
  'bob@other.example': 'sync',
  'carl@two.example': 'lp',
  'dora@two.example': 'lp',
} as const
type Address = keyof typeof owners
const addresses = Object.keys(owners) as Address[]
const passwordOf = (address: Address): string => `secret of ${address}`

describe('people of a system home', { skip: withoutSystemHome(...Object.values(owners)), concurrency: false }, () => {
  let home = ''
  let running: ChildProcess | undefined
  let ports: Readonly<Record<string, readonly string[]>> = {}
  let pids = new Map<string, number>()
  const filterLog = (): string => readFileSync(join(home, 'filtered/log'), 'latin1')

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'quaver-people-'))
    chmodSync(home, 0o755)
    const control: Record<string, string> = {
      me: 'mail.quaver.test',
      roles: rolesFile.trimEnd(),
      ofmipfilters: join(home, 'filtered/filter'),
    }
    for (const name of ['smtp', 'submission', 'submissions', 'pop3', 'pop3s']) control[`listen-${name}`] = '127.0.0.1:0'
    for (const directory of ['control', 'filtered']) mkdirSync(join(home, directory))
    mkdirSync(join(home, 'tls'), { mode: 0o700 })
    for (const [name, text] of Object.entries(control)) writeFileSync(join(home, 'control', name), `${text}\n`)
    // Says who it is, and passes the message on.
    const filter = `#!/bin/sh\necho "$AUTHUP_USER $(id -u) $(id -g) $(id -G)" >> ${join(home, 'filtered/log')}\nexec cat\n`
    writeFileSync(join(home, 'filtered/filter'), filter, { mode: 0o755 })
    writeFileSync(join(home, 'filtered/log'), '')
    chmodSync(join(home, 'filtered/log'), 0o666)
    const authority = new Authority()
    const { cert, key } = authority.issue('mail.quaver.test', 'DNS:mail.quaver.test')
    authority.remove()
    writeFileSync(join(home, 'tls/cert.pem'), cert)
    writeFileSync(join(home, 'tls/key.pem'), key, { mode: 0o600 })
    const log = join(home, 'filtered/terminal')
    writeFileSync(log, '')
    // Node itself keeps those up to 15.
    const callers = openSync(join(home, 'filtered/of-the-caller'), 'w')
    running = spawn('/bin/sh', ['-c', `exec "$0" start --home "$1" > "$2" 2>&1`, launcher, home, log], {
      stdio: [...Array<'ignore'>(20).fill('ignore'), callers],
    })
    closeSync(callers)
    await until('the programs running', waitMillisecondsMax, async () => {
      assert.equal(running?.exitCode, null, readFileSync(log, 'latin1'))
      const { code, stdout } = await quaver(['status', '--json'])
      if (code !== 0) return undefined
      const status = JSON.parse(stdout) as Status
      if (status.programs.some(({ state }) => state !== 'running')) return undefined
      ports = status.listening
      pids = new Map(status.programs.map(({ program, pid }) => [program, pid]))
      return true
    })
    for (const address of addresses) {
      const args = ['account', 'add', address, '--user', owners[address], '--password-stdin']
      const { code, stderr } = await quaver(args, `${passwordOf(address)}\n`)
      assert.equal(code, 0, stderr)
    }
  })
  after(async () => {
    if (running !== undefined && running.exitCode === null) await quaver(['stop'])
    running?.kill('SIGKILL')
    rmSync(home, { recursive: true, force: true })
  })

  const port = (name: string): number => Number(/:(\d+)$/.exec(ports[name]?.[0] ?? '')?.[1])

  function quaver(
    args: readonly string[],
    input = '',
  ): Promise<{ code: number | null; stdout: string; stderr: string }> {
    return new Promise((resolve) => {
      const options = { cwd: '/', timeout: waitMillisecondsMax }
      const child = execFile(launcher, [...args, '--home', home], options, (_, stdout, stderr) =>
        resolve({ code: child.exitCode, stdout, stderr }),
      )
      child.stdin?.on('error', () => undefined).end(input)
    })
  }

  async function submission(address: Address, password = passwordOf(address)): Promise<[MailClient, string]> {
    const client = new MailClient({ port: port('submissions') })
    return [client, await smtpLogin(client, address, password)]
  }

  async function pop3(address: Address, password = passwordOf(address)): Promise<[MailClient, string]> {
    const client = new MailClient({ port: port('pop3s') })
    return [client, await popLogin(client, address, password)]
  }

  /** The last reply of a transaction, or of the command that was refused. */
  async function send(client: MailClient, from: string, to: string, header: string): Promise<string> {
    for (const command of [`MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, 'DATA']) {
      const reply = await client.say(command)
      if (!/^[23]/.test(reply)) {
        await client.say('RSET')
        return reply
      }
    }
    return await client.say(`${header}\r\nSubject: from ${from}\r\n\r\nhello\r\n.`)
  }

  /** The subjects that POP3 shows. */
  async function subjects(address: Address): Promise<readonly string[]> {
    const [client, answer] = await pop3(address)
    assert.match(answer, /^\+OK/)
    const count = Number(/^\+OK (\d+) /.exec(await client.say('STAT'))?.[1])
    const found: string[] = []
    for (let n = 1; n <= count; n++) {
      const text = await client.say(`RETR ${n}`, /\r\n\.\r\n/)
      found.push(/^Subject: (.*)\r$/m.exec(text)?.[1] ?? '')
    }
    await client.say('QUIT')
    client.end()
    return found
  }

  /** The `local` processes, by uid. */
  function locals(): Map<number, number> {
    const found = allProcesses().filter(({ pid }) => {
      const args = commandLine(pid)
      return programOf(pid) === 'local' && args.includes(home)
    })
    return new Map(found.map(({ pid }) => [statusUids(pid)[0] ?? -1, pid]))
  }
  const statusUids = (pid: number): readonly number[] => {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    const [, line = ''] = /^Uid:\t(.*)$/m.exec(status) ?? []
    return line.split('\t').map(Number)
  }

  it('each program has its account; each socket and file of a login is its owner’s alone', () => {
    for (const [program, account] of [
      ['authd', roles.authd],
      ['ofmipd', roles.login],
      ['pop3d', roles.login],
      ['lspawn', 'root'],
    ] as const)
      assert.deepEqual(new Set(statusUids(pids.get(program) ?? 0)), new Set([uidOf(account)]), program)
    const facts = (path: string): readonly number[] => {
      const { uid, mode } = statSync(join(home, path))
      return [uid, mode & 0o777]
    }
    assert.deepEqual(facts('run/authd.sock'), [uidOf(roles.login), 0o600])
    assert.deepEqual(facts('run/lspawn-login.sock'), [uidOf(roles.login), 0o600])
    assert.deepEqual(facts('run/lspawn-tickets.sock'), [uidOf(roles.authd), 0o600])
    assert.deepEqual(facts('run/authd-admin.sock'), [0, 0o600])
    assert.deepEqual(facts('run/local'), [0, 0o755])
    assert.deepEqual(facts('auth'), [uidOf(roles.authd), 0o700])
    assert.deepEqual(facts('auth/passwd'), [uidOf(roles.authd), 0o600])
    assert.deepEqual(facts('tls/key.pem'), [0, 0o600])
  })

  it('a session runs as its account’s user, in one process for all of that user’s accounts', async () => {
    const sessions: MailClient[] = []
    for (const address of addresses) {
      const [client, answer] = await submission(address)
      assert.match(answer, /^235 /, address)
      sessions.push(client)
    }
    const ours = locals()
    assert.deepEqual(new Set(ours.keys()), new Set(Object.values(owners).map(uidOf)))
    for (const [uid, pid] of ours) {
      assert.deepEqual(statusUids(pid), [uid, uid, uid, uid])
      assert.match(readFileSync(`/proc/${pid}/status`, 'latin1'), /^Groups:\t\s*$/m)
    }
    const sockets = readdirSync(join(home, 'run/local'))
    assert.equal(sockets.length, 3)
    for (const name of sockets) {
      const { uid, mode } = statSync(join(home, 'run/local', name))
      assert.deepEqual([uid, mode & 0o777], [uidOf(roles.login), 0o600], name)
    }
    for (const client of sessions) client.end()
  })

  it('no process of an account shares its log with another, or can be traced by its user', () => {
    const user = uidOf(owners['anna@one.example'])
    const found = treeOf(running?.pid ?? 0).filter(({ pid }) => commandLine(pid).includes(home))
    assert.ok(found.some(({ pid }) => statusUids(pid)[0] === user))
    const logs = new Map<string, number>()
    for (const { pid } of found) {
      // Of a process that may not be traced, /proc says that it is root's.
      assert.equal(statSync(`/proc/${pid}/mem`).uid, 0, commandLine(pid).join(' '))
      if (pid === running?.pid) continue
      const log = readlinkSync(`/proc/${pid}/fd/2`)
      assert.match(log, /^pipe:/)
      assert.equal(readlinkSync(`/proc/${pid}/fd/1`), log)
      assert.equal(logs.get(log), undefined, `${commandLine(pid).join(' ')} and ${logs.get(log)} share a log`)
      logs.set(log, pid)
    }
    const [anna] = found.filter(({ pid }) => statusUids(pid)[0] === user)
    const read = spawnSync('ls', [`/proc/${anna?.pid}/fd`], { uid: user, gid: user })
    assert.match(read.stderr.toString(), /Permission denied/)
  })

  it('what whoever started it had open goes to no program', () => {
    for (const { pid } of treeOf(running?.pid ?? 0)) {
      const held = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
      assert.equal(held.includes(join(home, 'filtered/of-the-caller')), pid === running?.pid, `${pid}`)
    }
  })

  it('a line that a user’s process writes is told as that user’s, and stays a line', async () => {
    const user = uidOf(owners['anna@one.example'])
    const [anna] = treeOf(running?.pid ?? 0).filter(({ pid }) => statusUids(pid)[0] === user)
    assert.ok(anna !== undefined)
    const forged = 'authd: failed-login\r\x1b[2Jfrom 192.0.2.1'
    writeFileSync(`/proc/${anna.pid}/fd/2`, `${forged}\n`)
    await until('the line', 10_000, () => {
      const isThere = readFileSync(join(home, 'filtered/terminal'), 'latin1').includes('failed-login')
      return Promise.resolve(isThere || undefined)
    })
    const lines = readFileSync(join(home, 'filtered/terminal'), 'latin1').split('\n')
    const [line] = lines.filter((text) => text.includes('failed-login'))
    assert.equal(line, `lspawn: local ${user}: authd: failed-login\\x0d\\x1b[2Jfrom 192.0.2.1`)
  })

  it('nobody sends as somebody else, by envelope or by From, of the same user or not', async () => {
    for (const address of addresses) {
      const [client] = await submission(address)
      for (const other of addresses.filter((one) => one !== address)) {
        const envelope = await send(client, other, address, `From: ${address}`)
        assert.match(envelope, notAllowed, `${address} as ${other}`)
        const from = await send(client, address, address, `From: ${other}`)
        assert.match(from, notAllowed, `${address} From ${other}`)
        const hidden = await send(client, address, address, `From: ${address},\r\n ${other}`)
        assert.match(hidden, notAllowed)
      }
      client.end()
    }
  })

  it('each sends as himself, through filters that run as his user', async () => {
    for (const address of addresses) {
      const [client] = await submission(address)
      assert.match(await send(client, address, address, `From: ${address}`), /^250 /, address)
      client.end()
    }
    const lines = filterLog().trim().split('\n')
    for (const address of addresses) {
      const uid = uidOf(owners[address])
      assert.ok(
        lines.some((line) => line.startsWith(`${address} ${uid} `)),
        `${address}: ${lines.join()}`,
      )
    }
    const allowed = new Set(Object.values(owners).map(uidOf))
    for (const line of lines) assert.ok(allowed.has(Number(line.split(' ')[1])), line)
  })

  it('each sees his own mail and no other', async () => {
    for (const address of addresses) {
      await until(`the mail of ${address}`, 20_000, async () => {
        const found = await subjects(address)
        return found.length > 0 || undefined
      })
      assert.deepEqual(await subjects(address), [`from ${address}`])
    }
  })

  it('a large message goes from process to process without passing through the queue, as descriptors of its file', async () => {
    const moved = (): number => {
      const counts = readFileSync(`/proc/${pids.get('queue')}/io`, 'latin1')
      return [...counts.matchAll(/^[rw]char: (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0)
    }
    const large = `Subject: large\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(40_000)}`
    const movedBefore = moved()
    await deliver(port('smtp'), { from: 'x@client.test', to: ['anna@one.example'], content: large })
    await until(
      'the large message',
      20_000,
      async () => (await subjects('anna@one.example')).includes('large') || undefined,
    )
    assert.ok(
      moved() - movedBefore < large.length / 4,
      `the queue moved ${moved() - movedBefore} bytes of ${large.length}`,
    )
    // Its owner has read it, and nobody can by name.
    assert.equal(statSync(join(home, 'queue/content')).mode & 0o077, 0)
  })

  it('nobody’s password is another’s', async () => {
    const [client, answer] = await pop3('anna@one.example', passwordOf('bob@other.example'))
    assert.match(answer, /^-ERR \[AUTH\]/)
    client.end()
    const [other, refused] = await submission('carl@two.example', passwordOf('dora@two.example'))
    assert.match(refused, /^535 /)
    other.end()
  })

  it('the front’s account opens its own sockets and nobody else’s, the users open none', async () => {
    const names = [
      ...readdirSync(join(home, 'run'))
        .filter((name) => name.endsWith('.sock'))
        .map((name) => `run/${name}`),
      ...readdirSync(join(home, 'run/local')).map((name) => `run/local/${name}`),
    ]
    const opens = async (account: string): Promise<readonly string[]> => {
      const script = `
        const { connect } = require('node:net')
        for (const path of process.argv.slice(1)) connect({ path })
          .on('connect', function () { console.log(path); this.destroy() })
          .on('error', (error) => console.error(path, error.code))`
      const paths = names.map((name) => join(home, name))
      const uid = uidOf(account)
      const output = await new Promise<string>((resolve, reject) => {
        const options = { uid, gid: 65534, cwd: '/' }
        execFile(process.execPath, ['-e', script, ...paths], options, (error, stdout) =>
          error === null ? resolve(stdout) : reject(new Error(error.message)),
        )
      })
      return output
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.slice(home.length + 1))
        .toSorted()
    }
    const everybodys = ['run/queue-inject.sock', 'run/queue-own.sock']
    const ofLocals = names.filter((name) => name.startsWith('run/local/'))
    assert.deepEqual(
      await opens(roles.login),
      ['run/authd.sock', ...everybodys, 'run/lspawn-login.sock', 'run/policy-names.sock', ...ofLocals].toSorted(),
    )
    assert.deepEqual(await opens(roles.authd), ['run/lspawn-tickets.sock', ...everybodys])
    for (const owner of new Set(Object.values(owners))) assert.deepEqual(await opens(owner), everybodys)
  })

  interface Status {
    readonly listening: Readonly<Record<string, readonly string[]>>
    readonly programs: readonly { readonly program: string; readonly pid: number; readonly state: string }[]
  }
})
