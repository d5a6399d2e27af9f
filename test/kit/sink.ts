/** An SMTP server that takes everything and remembers it, or answers as it is told. For tests of what we send out. */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'

export interface Transaction {
  readonly from: string
  readonly to: readonly string[]
  /** Content as the client meant it: dots unstuffed, without the final dot. */
  readonly content: Buffer
}

/** What the sink answers instead of its own reply, by the verb (`GREETING`, `EHLO`, `MAIL`, `RCPT`, `DATA`, `.`, `QUIT`). */
export type Answer = (verb: string, line: string) => string | undefined

export class Sink {
  readonly transactions: Transaction[] = []
  /** Every command line that came, in order. */
  readonly commands: string[] = []
  answer: Answer = () => undefined
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  private waiters: (() => void)[] = []

  private constructor(server: Server) {
    this.server = server
    server.on('connection', (socket) => this.serve(socket))
  }

  static async listen(port = 0, host = '127.0.0.1'): Promise<Sink> {
    const server = createServer({ noDelay: true })
    const sink = new Sink(server)
    server.listen(port, host)
    await once(server, 'listening')
    // A forgotten sink must not keep the test process alive.
    server.unref()
    return sink
  }

  get port(): number {
    const address = this.server.address()
    if (address === null || typeof address === 'string') throw new Error('the sink does not listen')
    return address.port
  }

  /** Resolves when at least so many transactions are recorded. */
  async count(wanted: number, millisecondsMax = 30_000): Promise<void> {
    const deadline = Date.now() + millisecondsMax
    while (this.transactions.length < wanted) {
      await new Promise<void>((resolve, reject) => {
        const late = (): void => reject(new Error(`the sink has ${this.transactions.length} of ${wanted} messages`))
        const timer = setTimeout(late, deadline - Date.now())
        this.waiters.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close')
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
    await closed
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket)
    socket.unref()
    socket.on('close', () => this.sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    const say: Say = (verb, line, usual) => {
      const reply = this.answer(verb, line) ?? usual
      socket.write(`${reply}\r\n`, 'latin1')
      return Number(reply.slice(0, 3))
    }
    const session = new SinkSession(say, (transaction) => this.record(transaction), this.commands)
    socket.on('data', (chunk: Buffer) => {
      if (session.feed(chunk.toString('latin1'))) socket.end()
    })
    say('GREETING', '', '220 sink.test ESMTP')
  }

  private record(transaction: Transaction): void {
    this.transactions.push(transaction)
    const waiters = this.waiters
    this.waiters = []
    for (const wake of waiters) wake()
  }
}

/** Answers, and returns the code that went out. */
type Say = (verb: string, line: string, usual: string) => number

class SinkSession {
  private readonly say: Say
  private readonly record: (transaction: Transaction) => void
  private readonly commands: string[]
  private input = ''
  private from = ''
  private to: string[] = []
  private inData = false
  private content: string[] = []

  constructor(say: Say, record: (transaction: Transaction) => void, commands: string[]) {
    this.say = say
    this.record = record
    this.commands = commands
  }

  /** True when the client said QUIT. */
  feed(text: string): boolean {
    const lines = (this.input + text).split('\r\n')
    this.input = lines.pop() ?? ''
    let quit = false
    for (const line of lines) {
      if (this.inData) this.dataLine(line)
      else quit = this.command(line) || quit
    }
    return quit
  }

  private dataLine(line: string): void {
    if (line !== '.') {
      this.content.push(`${line.startsWith('.') ? line.slice(1) : line}\r\n`)
      return
    }
    this.inData = false
    const transaction = { from: this.from, to: this.to, content: Buffer.from(this.content.join(''), 'latin1') }
    if (this.say('.', line, '250 2.0.0 taken') === 250) this.record(transaction)
  }

  private command(line: string): boolean {
    this.commands.push(line)
    const verb = line.slice(0, 4).toUpperCase()
    switch (verb) {
      case 'EHLO':
        this.say(verb, line, '250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME')
        break
      case 'MAIL':
        this.from = addressIn(line)
        this.to = []
        this.say(verb, line, '250 2.1.0 sender')
        break
      case 'RCPT':
        if (this.say(verb, line, '250 2.1.5 recipient') === 250) this.to.push(addressIn(line))
        break
      case 'DATA':
        this.content = []
        this.inData = this.say(verb, line, '354 go on') === 354
        break
      case 'QUIT':
        this.say(verb, line, '221 2.0.0 bye')
        return true
      default:
        this.say(verb, line, '250 2.0.0 ok')
    }
    return false
  }
}

function addressIn(line: string): string {
  return line.slice(line.indexOf('<') + 1, line.lastIndexOf('>'))
}
