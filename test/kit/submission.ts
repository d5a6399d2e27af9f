/** Submission sessions over Unix sockets, without login: what lspawn and the front would say is said here, and what is
 *  taken is kept for the test. The home, its accounts and its control files are real. */
import { sessionFacts } from './session-facts.ts'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unlimited } from '../../src/clients/queue/content-budget.ts'
import type { Enqueuer } from '../../src/clients/queue/enqueuer.ts'
import type { SessionGrant } from '../../src/contracts/assign.ts'
import type { RunningSession } from '../../src/programs/local/session.ts'
import { startSubmission } from '../../src/programs/local/submission/submission.ts'
import { type SubmissionTools, submissionTools } from '../../src/programs/local/submission/tools.ts'
import { compileAssign } from '../../src/stores/users/assign.ts'
import { type Home, homeAt } from '../../src/stores/home/layout.ts'
import { realClock } from '../../src/system/clock.ts'
import { realRandom } from '../../src/system/random.ts'
import { FakeEnqueuer } from './smtpd.ts'

export interface Login {
  readonly account?: string
  readonly extended?: boolean
  /** The front asked, and so it is called. */
  readonly remoteHost?: string
}

const uid = process.getuid?.() ?? 0
const gid = process.getgid?.() ?? 0
const answerMillisecondsMax = 30_000

/** Two hosted accounts of one uid, anna@lab.example and bob@lab.example, and one user of the machine, joe. */
export class SubmissionRig {
  readonly home: Home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-submission-')))
  readonly enqueuer: FakeEnqueuer = new FakeEnqueuer()
  readonly log: string[] = []
  /** For how long the process was asked to stay, each time. */
  readonly stays: number[] = []
  tools: SubmissionTools | undefined
  lastSession: RunningSession | undefined
  private server: Server | undefined
  private readonly waiting: ((socket: Socket) => void)[] = []
  private readonly sockets: Socket[] = []

  homeOf(name: string): string {
    return join(this.home.mail, name)
  }

  async start(more: Partial<SubmissionTools> = {}, queue: Enqueuer = this.enqueuer): Promise<void> {
    for (const path of [this.home.control, this.home.users, this.home.bin]) mkdirSync(path, { recursive: true })
    const line = (key: string, name: string): string => {
      mkdirSync(this.homeOf(name), { recursive: true })
      const fields = `${key}:user:${uid}:${gid}:${this.homeOf(name)}`
      return `=${fields}:::\n+${fields.replace(':', '-:')}:-::\n+${fields.replace(':', '+:')}:+::\n`
    }
    const assign = [line('lab.example-anna', 'anna'), line('lab.example-bob', 'bob'), line('joe', 'joe')]
    assign.push(`=lab.example-postmaster:user:${uid}:${gid}:${this.homeOf('anna')}:::\n`)
    writeFileSync(join(this.home.users, 'assign'), `${assign.join('')}.\n`)
    const compiled = await compileAssign(this.home)
    if (!compiled.done) throw new Error(compiled.failure.logText)
    this.control('me', 'host.example')
    this.control('locals', 'host.example')
    this.control('virtualdomains', 'lab.example:lab.example')
    const log = (text: string): void => void this.log.push(text)
    const keepAliveFor = (milliseconds: number): void => void this.stays.push(milliseconds)
    const machine = { clock: realClock, random: realRandom, budget: unlimited }
    const setting = { homePath: this.home.path, demo: true, queue, ...machine, log, keepAliveFor }
    const made = submissionTools(setting)
    this.tools = { ...made, limits: { ...made.limits, errorDelayMilliseconds: 5 }, ...more }
    this.server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) =>
      this.waiting.shift()?.(socket),
    )
    await new Promise<void>((resolve) => this.server?.listen(join(this.home.path, 's'), resolve))
  }

  /** Before `start`, or at least a second before it counts. */
  control(name: string, text: string): void {
    mkdirSync(this.home.control, { recursive: true })
    writeFileSync(join(this.home.control, name), `${text}\n`)
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    this.server?.close()
    await rm(this.home.path, { recursive: true })
  }

  async login({
    account = 'anna@lab.example',
    extended = true,
    remoteHost = '',
  }: Login = {}): Promise<SubmissionClient> {
    const { tools } = this
    if (tools === undefined) throw new Error('not started')
    const served = new Promise<Socket>((resolve) => this.waiting.push(resolve))
    const client = new SubmissionClient(connect({ path: join(this.home.path, 's'), allowHalfOpen: true }))
    this.sockets.push(client.socket)
    const name = account.split('@')[0] ?? ''
    const peer = { service: 'submission', remoteIp: '192.0.2.7', remotePort: 40000 } as const
    const grant: SessionGrant = { token: 't'.repeat(32), account, user: 'user', home: this.homeOf(name), peer }
    const facts = { ...sessionFacts, remoteHost, localPort: 587, helo: 'client.example', extended }
    const socket = await served
    this.sockets.push(socket)
    this.lastSession = startSubmission({ grant, facts, socket }, tools)
    await client.replies(1)
    return client
  }
}

export class SubmissionClient {
  /** All that was said. */
  output = ''
  closed = false
  readonly socket: Socket
  private seen = 0
  private wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.output += chunk.toString('latin1')
      this.wake()
    })
    socket.on('end', () => {
      socket.end()
      this.closed = true
      this.wake()
    })
    socket.on('error', () => undefined)
  }

  /** Sends, and waits for so many replies more; what was said since the last call. */
  async say(text: string, count = 1): Promise<string> {
    this.socket.write(text, 'latin1')
    return this.replies(count)
  }

  /** Waits for so many whole replies, or the end. */
  async replies(count: number): Promise<string> {
    const deadline = Date.now() + answerMillisecondsMax
    for (;;) {
      const news = this.output.slice(this.seen)
      if (this.closed || (news.match(/^\d{3} .*\r\n/gm) ?? []).length >= count) {
        this.seen = this.output.length
        return news
      }
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no reply: ${this.output}`)), deadline - Date.now())
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** A whole transaction; the last reply. `content` with CRLF. */
  async submit(content: string, from = 'anna@lab.example', to: readonly string[] = ['x@far.example']): Promise<string> {
    const commands = [`MAIL FROM:<${from}>`, ...to.map((recipient) => `RCPT TO:<${recipient}>`), 'DATA']
    const before = await this.say(commands.map((command) => `${command}\r\n`).join(''), commands.length)
    if (!before.endsWith('354 go ahead\r\n')) return before
    return this.say(`${content}\r\n.\r\n`)
  }

  /** Waits until the other side has ended. */
  async untilClosed(): Promise<void> {
    while (!this.closed) await this.replies(Number.POSITIVE_INFINITY)
  }

  async end(): Promise<void> {
    await this.say('QUIT\r\n')
    this.socket.destroy()
  }
}
