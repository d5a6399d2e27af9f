/** A system home, started by root with accounts of the machine that nobody else uses, and a certificate by an authority of
 *  the test's own.
 *  Never:  leaves a process behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Authority } from './certificates.ts'
import { askAdmin, type ProgramStatus, run, statusPollMilliseconds, until } from './instance.ts'
import { launcher, programArguments } from './programs.ts'
import { without, withoutOtherAccounts } from './tool.ts'

const startMillisecondsMax = 120_000
const stopMillisecondsMax = 30_000
/** Accounts that every Debian has; none of them is used by Quaver otherwise. */
export const roles = {
  queue: 'mail',
  smtpd: 'daemon',
  remote: 'nobody',
  policy: 'news',
  alias: 'games',
  login: 'uucp',
  authd: 'proxy',
  issuers: 'irc',
  signer: 'list',
  acme: 'backup',
  httpd: 'www-data',
} as const
/** control/roles that says so. */
export const rolesFile: string = Object.entries(roles)
  .map(([role, account]) => `${role}:${account}\n`)
  .join('')
const uids = new Map(
  readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => [line.split(':')[0] ?? '', Number(line.split(':')[2])]),
)

/** For `skip`. `others`: accounts that the test needs besides. */
export function withoutSystemHome(...others: readonly string[]): string | false {
  const missing = [...Object.values(roles), ...others].find((name) => !uids.has(name))
  if (missing !== undefined) return `no account ${missing}`
  return withoutOtherAccounts() || without('openssl')
}

export function uidOf(account: string): number {
  return uids.get(account) ?? Number.NaN
}

/** Below the home, which has control/ and tls/; undefined: not there. */
export type MoreFiles = Readonly<Record<string, string | undefined>>

interface Summary {
  readonly listening: Readonly<Record<string, readonly string[]>>
}

export class SystemInstance {
  readonly home: string
  readonly caFile: string
  private readonly base = mkdtempSync(join(tmpdir(), 'quaver-system-'))
  private process: ChildProcess | undefined
  private listening: Summary['listening'] = {}

  private constructor(services: readonly string[], more: MoreFiles) {
    chmodSync(this.base, 0o755)
    this.home = join(this.base, 'home')
    this.caFile = join(this.home, 'ca.pem')
    this.writeHome(services, more)
  }

  static start(...services: readonly string[]): Promise<SystemInstance> {
    return SystemInstance.startWith({}, ...services)
  }

  static async startWith(more: MoreFiles, ...services: readonly string[]): Promise<SystemInstance> {
    const instance = new SystemInstance(services, more)
    try {
      await instance.begin()
    } catch (error) {
      await instance.end()
      throw error
    }
    return instance
  }

  /** A place beside the home that goes with it. */
  beside(name: string): string {
    const path = join(this.base, name)
    mkdirSync(path)
    return path
  }

  /** Runs the command line on this home; what it prints. Throws if it fails. */
  async quaver(input: string, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run(launcher, [...args, '--home', this.home], input)
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`)
    return stdout
  }

  portOf(service: string): number {
    return Number(this.listening[service]?.[0]?.split(':').at(-1))
  }

  log(): string {
    return readFileSync(join(this.home, 'stderr'), 'latin1')
  }

  async end(): Promise<void> {
    const child = this.process
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), stopMillisecondsMax)
      await once(child, 'exit')
      clearTimeout(timer)
    }
    rmSync(this.base, { recursive: true, force: true, maxRetries: 3 })
  }

  private async begin(): Promise<void> {
    const log = openSync(join(this.home, 'stderr'), 'a')
    const child = spawn(process.execPath, [...programArguments('start'), '--home', this.home], {
      stdio: ['ignore', 'ignore', log],
    })
    closeSync(log)
    this.process = child
    process.on('exit', () => child.kill('SIGKILL'))
    this.listening = await until(
      'every program running',
      startMillisecondsMax,
      async () => {
        if (child.exitCode !== null) throw new Error(`start ended with ${child.exitCode}: ${this.log()}`)
        const rows = await askAdmin(join(this.home, 'run/start.sock'), { op: 'status' }).catch(() => [])
        const [summary, ...programs] = rows as [Summary, ...ProgramStatus[]]
        const isUp = programs.length > 0 && programs.every(({ state }) => state === 'running')
        return isUp ? summary.listening : undefined
      },
      statusPollMilliseconds,
    )
  }

  private writeHome(services: readonly string[], more: MoreFiles): void {
    const authority = new Authority()
    const { cert, key } = authority.issue('mail.example.test', 'DNS:localhost', 'IP:127.0.0.1')
    const { caPem } = authority
    authority.remove()
    const files: Record<string, string> = {
      'control/me': 'mail.example.test\n',
      'control/roles': rolesFile,
      'control/services': `${services.join('\n')}\n`,
      'ca.pem': caPem,
      'tls/cert.pem': cert,
      'tls/key.pem': key,
    }
    for (const name of ['smtp', 'submission', 'submissions', 'pop3', 'pop3s'])
      files[`control/listen-${name}`] = '127.0.0.1:0\n'
    for (const name of ['', 'control', 'tls'])
      mkdirSync(join(this.home, name), { mode: name === 'tls' ? 0o700 : 0o755 })
    for (const [name, text] of Object.entries({ ...files, ...more }))
      if (text !== undefined)
        writeFileSync(join(this.home, name), text, { mode: name.startsWith('tls/') ? 0o600 : 0o644 })
  }
}
