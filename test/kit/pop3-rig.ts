/** A POP3 session as a `local` runs it, over a real socket, on a Maildir that the test fills.
 *  Knows:  how the front hands a connection over. Never: speaks for the client unless told. */
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { limits } from '../../src/programs/local/pop3/limits.ts'
import { type Pop3Tools, startPop3 } from '../../src/programs/local/pop3/pop3.ts'
import type { RunningSession } from '../../src/programs/local/session.ts'
import { MaildropLocks } from '../../src/stores/maildir/maildrop-locks.ts'
import { type Clock, realClock } from '../../src/system/clock.ts'
import { quickFiles } from '../../src/system/quick-files.ts'

const answerMillisecondsMax = 30_000

export interface Pop3Rig {
  readonly home: string
  readonly maildir: string
  readonly log: string[]
  readonly removed: { readonly bytes: number; readonly messages: number }[]
  /** Each file in new/ and cur/ with its part, sorted. */
  listing(): Promise<string[]>
  open(more?: Partial<Pop3Tools>, account?: string): Promise<Pop3Client>
}

/** `messages`: content by `new/NAME` or `cur/NAME`; each came a second after the one before it. */
export async function pop3Rig(
  test: TestContext,
  messages: Readonly<Record<string, string | Buffer>>,
): Promise<Pop3Rig> {
  const home = await mkdtemp(join(tmpdir(), 'quaver-pop3-'))
  test.after(() => rm(home, { recursive: true, force: true }))
  const maildir = `${home}/Maildir/`
  for (const part of ['new', 'cur', 'tmp']) await mkdir(maildir + part, { recursive: true })
  let arrival = 1_000_000_000
  for (const [name, content] of Object.entries(messages)) {
    await writeFile(maildir + name, content, 'latin1')
    await utimes(maildir + name, arrival, arrival)
    arrival++
  }
  const log: string[] = []
  const removed: { bytes: number; messages: number }[] = []
  const tools: Pop3Tools = {
    files: quickFiles,
    clock: realClock,
    log: (line) => log.push(line),
    limits,
    locks: new MaildropLocks(),
    idleSecondsMax: () => 600,
    removed: (_, what) => removed.push(what),
  }
  return {
    home,
    maildir,
    log,
    removed,
    async listing() {
      const found = await Promise.all(
        ['new', 'cur'].map(async (part) => (await readdir(maildir + part)).map((name) => `${part}/${name}`)),
      )
      return found.flat().sort()
    },
    open: (more, account = 'joe@example.org') => openSession(test, home, { ...tools, ...more }, account),
  }
}

async function openSession(test: TestContext, home: string, tools: Pop3Tools, account: string): Promise<Pop3Client> {
  const path = join(home, `s${Math.random().toString(36).slice(2)}`)
  const server = createServer({ pauseOnConnect: true })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const socket = connect({ path, allowHalfOpen: true })
  const far = await accepted
  server.close()
  test.after(() => {
    socket.destroy()
    far.destroy()
  })
  const peer = { service: 'pop3', remoteIp: '192.0.2.1', remotePort: 1024 } as const
  const session = startPop3({ grant: { account, home, peer }, socket: far }, tools)
  return new Pop3Client(socket, far, session)
}

/** Reads and writes bytes; knows where a reply ends. */
export class Pop3Client {
  readonly socket: Socket
  /** The session's end of the connection. */
  readonly far: Socket
  readonly session: RunningSession
  private received = ''
  /** The last chunk and the end of the one before: to search all of a long listing at each chunk takes too long. */
  private recent = ''
  private ended = false
  private wake: () => void = () => undefined

  constructor(socket: Socket, far: Socket, session: RunningSession) {
    this.socket = socket
    this.far = far
    this.session = session
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1')
      this.received += text
      this.recent = this.recent.slice(-4) + text
      this.wake()
    })
    socket.on('error', () => undefined)
    const end = (): void => {
      this.ended = true
      socket.end()
      this.wake()
    }
    socket.on('end', end)
    socket.on('close', end)
  }

  raw(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** One line without its CRLF. */
  async line(): Promise<string> {
    await this.until(() => this.received.includes('\r\n'))
    const end = this.received.indexOf('\r\n')
    if (end < 0) throw new Error(`the session closed; unread: ${JSON.stringify(this.received)}`)
    const line = this.received.slice(0, end)
    this.received = this.received.slice(end + 2)
    return line
  }

  async command(line: string): Promise<string> {
    this.raw(`${line}\r\n`)
    return await this.line()
  }

  /** The lines of a listing or message that follow `+OK`, without the dot at the end. */
  async lines(): Promise<string[]> {
    if (this.received.startsWith('.\r\n')) {
      await this.line()
      return []
    }
    const mark = '\r\n.\r\n'
    this.recent = this.received
    await this.until(() => this.recent.includes(mark))
    const end = this.received.indexOf(mark)
    if (end < 0) throw new Error(`the session closed; unread: ${JSON.stringify(this.received.slice(-200))}`)
    const lines = this.received.slice(0, end).split('\r\n')
    this.received = this.received.slice(end + mark.length)
    return lines
  }

  async listing(command: string): Promise<string[]> {
    const reply = await this.command(command)
    if (!reply.startsWith('+OK')) throw new Error(reply)
    return await this.lines()
  }

  /** Everything until the session closes. */
  async rest(): Promise<string> {
    await this.until(() => false)
    return this.received
  }

  async quit(): Promise<string> {
    const reply = await this.command('QUIT')
    await this.session.ended
    return reply
  }

  /** Goes away without a word. */
  async drop(): Promise<void> {
    this.socket.destroy()
    await this.session.ended
  }

  private async until(enough: () => boolean): Promise<void> {
    const deadline = Date.now() + answerMillisecondsMax
    while (!enough() && !this.ended) {
      await new Promise<void>((resolve, reject) => {
        const late = (): void => reject(new Error(`nothing more came; unread: ${JSON.stringify(this.received)}`))
        const timer = setTimeout(late, deadline - Date.now())
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}

/** When the session has its Maildir. */
export async function opened(client: Pop3Client): Promise<Pop3Client> {
  const reply = await client.line()
  if (reply !== '+OK ') throw new Error(reply)
  return client
}

/** Stands still but for `pass`. */
export class FakeClock implements Clock {
  private time = 1e12
  now = realClock.now
  after = realClock.after
  monotonic = (): number => this.time
  pass(milliseconds: number): void {
    this.time += milliseconds
  }
}
