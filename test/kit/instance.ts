/** A whole Quaver in its own processes, on a home in the temporary directory and a free port.
 *  Knows:  how a demo home is laid out, `start`'s status contract.
 *  Never:  leaves a process behind: everything runs in one process group, which is killed at the latest when this process ends. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { askAll } from '../../src/clients/admin/ask.ts'
import { addAccount } from '../../src/stores/accounts/accounts.ts'
import { parseAccountAddress } from '../../src/stores/accounts/address.ts'
import { homeAt } from '../../src/stores/home/layout.ts'
import { makeHome } from '../../src/stores/home/make.ts'
import { realClock } from '../../src/system/clock.ts'
import { realFiles } from '../../src/system/files.ts'
import { groupOf, programOf } from './processes.ts'
import { launcher, programArguments, root } from './programs.ts'

export { launcher, root }
export const demoAddress = 'demo@quaver.test'

const startMillisecondsMax = 120_000
const stopMillisecondsMax = 60_000
const commandMillisecondsMax = 60_000
const adminMillisecondsMax = 5000
const pollMilliseconds = 25
/** Each look asks every program how it is. */
export const statusPollMilliseconds = 100

export interface Setup {
  /** An existing home is used as it is; otherwise one is made and removed at the end. */
  readonly home?: string
  /** Files below the home, written before the first start. */
  readonly files?: Readonly<Record<string, string>>
  /** Domains accepted besides quaver.test; with a route in control/smtproutes they go out by SMTP. */
  readonly relayDomains?: readonly string[]
  /** Without it mail comes and goes, and nobody logs in; see `everyService`. */
  readonly services?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Programs that are not expected to run. */
  readonly idle?: readonly string[]
  /** After the files are written, before the first start. */
  readonly prepare?: (home: string) => Promise<void>
  /** `start` is run by this `quaver` command, not directly. */
  readonly launcher?: string
}

export interface ProgramStatus {
  readonly program: string
  readonly state: string
  readonly pid?: number
  readonly restarts: number
}

interface Summary {
  readonly smtp: readonly string[]
  readonly listening: Readonly<Record<string, readonly string[]>>
}

/** Fewer processes: most tests start many instances. */
const mailServices = ['smtp', 'local', 'remote']
export const everyService: readonly string[] = [...mailServices, 'submission', 'pop3']

/** TCP services with a login. */
export type LoginPort = 'submission' | 'submissions' | 'pop3' | 'pop3s'
/** Of demo@quaver.test in every instance with that account. */
export const demoPassword = 'a-password-for-tests'
/** Of that password (`deriveSecrets`). */
const demoSecrets = {
  phc: '$argon2id$v=19$m=19456,t=2,p=1$1SaplbHOC6mkwB+0Q2vDfA$2t8kH7IkkGJtZSx4doqufgLaGlZRoXaGsGlkdNxlc2I',
  scram:
    'SCRAM-SHA-256$100000:e8+htiyi9sJ22uXr97yeEQ==$w/HMm53RrW9W02KyHc6XP4piNi6FOps8l6bS+hQ6duI=:lXRrfunYa4i5euY9pAZW7AM462xPEJ7SSla19R3+Tzw=',
}

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export class Instance {
  readonly home: string
  readonly maildir: string
  smtpPort = 0
  /** Empty for a service that does not run. */
  private ports: ReadonlyMap<string, number> = new Map()
  private readonly setup: Setup
  private process: ChildProcess | undefined

  private constructor(home: string, setup: Setup) {
    this.home = home
    this.setup = setup
    this.maildir = join(home, 'mail/quaver.test/demo/Maildir')
  }

  static async start(setup: Setup = {}): Promise<Instance> {
    // Not in ASCII, as `~/Téléchargements` is: bytes and text must not be mistaken anywhere.
    const instance = new Instance(setup.home ?? (await mkdtemp(join(tmpdir(), 'quaver-ü-'))), setup)
    if (setup.home === undefined || setup.files !== undefined) await instance.writeFiles()
    if (setup.home === undefined) await instance.addDemoAccount()
    await setup.prepare?.(instance.home)
    try {
      await instance.begin()
    } catch (error) {
      await instance.end()
      throw error
    }
    return instance
  }

  /** The pid of `start`; every other process is in its group. */
  get pid(): number {
    const pid = this.process?.pid
    if (pid === undefined) throw new Error('the instance does not run')
    return pid
  }

  /** Where a service with a login listens. */
  portOf(name: LoginPort): number {
    const port = this.ports.get(name)
    if (port === undefined) throw new Error(`${name} does not listen`)
    return port
  }

  /** What `start` says of itself (first row) and of its programs. */
  async status(): Promise<readonly ProgramStatus[]> {
    return (await this.ask({ op: 'status' })).slice(1) as ProgramStatus[]
  }

  /** Waits for a program that is just being restarted. */
  async pidOf(program: string): Promise<number> {
    if (program === 'start') return this.pid
    return await until(`${program} running`, startMillisecondsMax, async () => {
      if (program === 'local') return this.localPid()
      return (await this.status()).find((row) => row.program === program)?.pid
    })
  }

  /** Ends one program as a power cut would; `start` brings it back by itself unless it is `start`. */
  async kill(program: string): Promise<void> {
    process.kill(await this.pidOf(program), 'SIGKILL')
  }

  /** Ends every process at once. */
  async killAll(): Promise<void> {
    const group = this.pid
    killGroup(group)
    await this.gone(group)
  }

  /** An orderly stop. */
  async stop(): Promise<void> {
    const group = this.process?.pid
    if (group === undefined) return
    if (this.process?.exitCode === null) this.process.kill('SIGTERM')
    try {
      await this.gone(group)
    } catch (error) {
      killGroup(group)
      await this.gone(group)
      throw error
    }
  }

  /** Starts again on the same home, whatever became of the processes before; those are waited for. */
  async restart(): Promise<void> {
    await this.stop()
    await this.begin()
  }

  /** For the after hook: no process stays, and no home that this made. */
  async end(): Promise<void> {
    const group = this.process?.pid
    if (group !== undefined) {
      await this.stop().catch(() => undefined)
      killGroup(group)
    }
    if (this.setup.home === undefined) await rm(this.home, { recursive: true, force: true, maxRetries: 3 })
  }

  /** Runs the command line on this home. */
  quaver(...args: readonly string[]): Promise<CommandResult> {
    return this.quaverWith('', ...args)
  }

  /** The same with something on its standard input. */
  quaverWith(input: string, ...args: readonly string[]): Promise<CommandResult> {
    return run(launcher, [...args, '--home', this.home], input)
  }

  /** Waits until the queue is empty; what was deferred because a program died is tried again at once. */
  async drained(millisecondsMax: number): Promise<void> {
    const admin = join(this.home, 'run/queue-admin.sock')
    await until('an empty queue', millisecondsMax, async () => {
      const rows = await askAdmin(admin, { op: 'list', limit: 10 }).catch(() => [undefined])
      if (rows.length === 0) return true
      await askAdmin(admin, { op: 'retry', all: true }).catch(() => undefined)
      await pause(200)
      return undefined
    })
  }

  /** What readers of the Maildir see now: content by file name. */
  async delivered(): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>()
    for (const part of ['new', 'cur'])
      for (const name of await readdir(join(this.maildir, part)))
        found.set(name, await readFile(join(this.maildir, part, name)))
    return found
  }

  /** The first message in the Maildir that fits, waited for. */
  async message(fits: (content: Buffer) => boolean, what: string, millisecondsMax = 20_000): Promise<Buffer> {
    return await until(`${what} in the Maildir`, millisecondsMax, async () =>
      [...(await this.delivered()).values()].find((content) => fits(content)),
    )
  }

  /** Waits for it: lines reach the log by way of a pipe, after the reply that they are about. */
  async logged(pattern: RegExp, millisecondsMax = 20_000): Promise<string> {
    return await until(`${pattern} in the log`, millisecondsMax, async () => pattern.exec(await this.log())?.[0])
  }

  async log(): Promise<string> {
    return await readFile(join(this.home, 'log/quaver.log'), 'latin1').catch(() => '')
  }

  private async begin(): Promise<void> {
    const args = ['--demo', '--no-tour', '--home', this.home, '--smtp-port', '0']
    args.push('--services', (this.setup.services ?? mailServices).join(','))
    await mkdir(join(this.home, 'log'), { recursive: true })
    const output = openSync(join(this.home, 'log/terminal'), 'a')
    // Its own group: nothing that a signal to us reaches, everything that killGroup does.
    const options = {
      detached: true,
      env: { ...process.env, ...this.setup.env },
      stdio: ['ignore', output, output],
    } as const
    // What `quaver start` becomes, without the command in front of it.
    const [file, ...before] =
      this.setup.launcher === undefined
        ? [process.execPath, ...programArguments('start')]
        : [this.setup.launcher, 'start']
    const child = spawn(file, [...before, ...args], { ...options, stdio: [...options.stdio] })
    closeSync(output)
    this.process = child
    await once(child, 'spawn')
    groups.add(this.pid)
    await this.serves()
  }

  private async serves(): Promise<void> {
    const failure = async (): Promise<string> =>
      `${await readFile(join(this.home, 'log/terminal'), 'utf8')}\n${await this.log()}`
    let trouble = ''
    await until(
      'the programs running',
      startMillisecondsMax,
      async () => {
        if (this.process?.exitCode !== null)
          throw new Error(`start ended with ${this.process?.exitCode}: ${await failure()}`)
        const rows = await this.ask({ op: 'status' }).catch((error: unknown) => {
          trouble = String(error)
          return []
        })
        const programs = rows.slice(1) as ProgramStatus[]
        const expected = programs.filter(({ program }) => this.setup.idle?.includes(program) !== true)
        if (expected.length === 0 || expected.some(({ state }) => state !== 'running')) return undefined
        const { listening } = rows[0] as Summary
        this.ports = new Map(Object.entries(listening).map(([name, addresses]) => [name, portOf(addresses[0])]))
        this.smtpPort = this.ports.get('smtp') ?? 0
        return true
      },
      statusPollMilliseconds,
    ).catch(async (error: unknown) => {
      throw new Error(`${String(error)}; ${trouble}\n${await failure()}`)
    })
  }

  private localPid(): number | undefined {
    return groupOf(this.pid).find(({ pid }) => programOf(pid) === 'local')?.pid
  }

  private ask(request: object): Promise<unknown[]> {
    return askAdmin(join(this.home, 'run/start.sock'), request)
  }

  private async gone(group: number): Promise<void> {
    const child = this.process
    // Last of all in an orderly stop; and to look through /proc is dear.
    const mayBeGone = (): boolean => child === undefined || child.exitCode !== null || child.signalCode !== null
    await until('every process gone', stopMillisecondsMax, () =>
      Promise.resolve((mayBeGone() && groupOf(group).length === 0) || undefined),
    )
    groups.delete(group)
    this.process = undefined
  }

  /** As the demo does, but for the making of the secrets, which costs more than any other part of a start. */
  private async addDemoAccount(): Promise<void> {
    if (Object.keys(this.setup.files ?? {}).some((name) => /^(?:auth|users)\//.test(name))) return
    const home = homeAt(this.home)
    const address = parseAccountAddress(demoAddress)
    const { username: user, uid, gid } = userInfo()
    await makeHome(home.path, undefined)
    const owner = { user, uid, gid }
    await addAccount(realFiles, home, { address, owner, secrets: demoSecrets, alsoFor: [user], oldMail: 'given' })
  }

  private async writeFiles(): Promise<void> {
    const domains = this.setup.relayDomains ?? []
    const files: Record<string, string> = {
      'alias/.qmail-postmaster': `&${demoAddress}\n`,
      'alias/.qmail-mailer-daemon': `&${demoAddress}\n`,
      'control/locals': 'localhost\n',
      'control/rcpthosts': ['localhost', 'quaver.test', ...domains, ''].join('\n'),
      // It says that the home is a demo's.
      'demo-password': `${demoPassword}\n`,
      ...this.setup.files,
      // Last: its presence says that the home is made.
      'control/me': 'quaver.test\n',
    }
    for (const [name, text] of Object.entries(files)) {
      // As `start` wants what is secret.
      const isSecret = name.startsWith('tls/') || name.startsWith('auth/')
      await mkdir(dirname(join(this.home, name)), { recursive: true, mode: isSecret ? 0o700 : 0o755 })
      await writeFile(join(this.home, name), text, { mode: isSecret ? 0o600 : 0o644 })
    }
  }
}

function portOf(address: string | undefined): number {
  return address === undefined ? 0 : Number(address.slice(address.lastIndexOf(':') + 1))
}

/** One request of the admin contract, all its rows. */
export async function askAdmin(path: string, request: object): Promise<unknown[]> {
  return await askAll(path, request, realClock, adminMillisecondsMax)
}

/** Runs a program to its end; never rejects because of its exit code. */
export function run(file: string, args: readonly string[], input: string | Buffer = ''): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const options = { timeout: commandMillisecondsMax, maxBuffer: 64 * 1024 * 1024, encoding: 'latin1' } as const
    const child = execFile(file, args, options, (error, stdout, stderr) => {
      if (error instanceof Error && typeof error.code !== 'number') reject(error)
      else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}

/** Asks again and again until there is an answer; throws what was waited for when time is up. */
export async function until<T>(
  what: string,
  millisecondsMax: number,
  look: () => Promise<T | undefined>,
  pauseMilliseconds = pollMilliseconds,
): Promise<T> {
  const deadline = performance.now() + millisecondsMax
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`waited ${millisecondsMax} ms for ${what}`)
    await pause(pauseMilliseconds)
  }
}

const groups = new Set<number>()
process.on('exit', () => {
  for (const group of groups) killGroup(group)
})

function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // Nobody is left in it.
  }
}
