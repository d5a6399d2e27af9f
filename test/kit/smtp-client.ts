/** A scripted SMTP client with control over every byte: it sends what it is given and checks what it is told to expect.
 *  Knows:  reply lines (RFC 5321 §4.2), dot-stuffing on request. Never: retries, or makes a script legal. */
import { connect, type Socket } from 'node:net'

const answerMillisecondsMax = 30_000

export interface Reply {
  readonly code: number
  /** Text of each line after the code, without CR and LF. */
  readonly lines: readonly string[]
}

export interface Message {
  readonly from: string
  readonly to: readonly string[]
  /** As it goes on the wire between DATA's 354 and the final dot, before dot-stuffing. */
  readonly content: string | Buffer
}

export class SmtpClient {
  private readonly socket: Socket
  private received = ''
  private ended: Error | undefined
  private wake: () => void = () => undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1')
      this.wake()
    })
    socket.on('error', (error) => this.end(error))
    socket.on('close', () => this.end(new Error('the server closed the connection')))
  }

  /** Connects; the greeting is the first reply to read. */
  static async connect(port: number, host = '127.0.0.1'): Promise<SmtpClient> {
    const socket = connect({ port, host })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new SmtpClient(socket)
  }

  /** Connects, reads the greeting and says EHLO. */
  static async greeted(port: number): Promise<SmtpClient> {
    const client = await SmtpClient.connect(port)
    await client.expect(220)
    await client.command('EHLO client.test', 250)
    return client
  }

  /** Exactly these bytes. Resolves when the kernel has taken them. */
  async raw(bytes: string | Buffer): Promise<void> {
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    await new Promise<void>((resolve, reject) => {
      this.socket.write(buffer, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** The next reply, all its lines. */
  async reply(): Promise<Reply> {
    const deadline = Date.now() + answerMillisecondsMax
    for (;;) {
      const reply = this.takeReply()
      if (reply !== undefined) return reply
      if (this.ended !== undefined) throw new Error(`${this.ended.message}; unread: ${JSON.stringify(this.received)}`)
      await this.somethingNew(deadline)
    }
  }

  async expect(code: number): Promise<Reply> {
    const reply = await this.reply()
    if (reply.code !== code) throw new Error(`expected ${code}, got ${reply.code} ${reply.lines.join(' | ')}`)
    return reply
  }

  async command(line: string, code: number): Promise<Reply> {
    await this.raw(`${line}\r\n`)
    return await this.expect(code)
  }

  /** One whole transaction; the reply to the end of DATA, whatever it says. */
  async transaction({ from, to, content }: Message): Promise<Reply> {
    await this.command(`MAIL FROM:<${from}>`, 250)
    for (const recipient of to) await this.command(`RCPT TO:<${recipient}>`, 250)
    await this.command('DATA', 354)
    await this.raw(stuffed(content))
    return await this.reply()
  }

  async send(message: Message): Promise<Reply> {
    const reply = await this.transaction(message)
    if (reply.code !== 250) throw new Error(`expected 250, got ${reply.code} ${reply.lines.join(' | ')}`)
    return reply
  }

  async quit(): Promise<void> {
    await this.command('QUIT', 221)
    this.destroy()
  }

  /** Goes away without a word. */
  destroy(): void {
    this.socket.destroy()
  }

  private takeReply(): Reply | undefined {
    const lines: string[] = []
    let at = 0
    for (;;) {
      const end = this.received.indexOf('\r\n', at)
      if (end < 0) return undefined
      const line = this.received.slice(at, end)
      at = end + 2
      lines.push(line.slice(4))
      if (line[3] !== '-') {
        this.received = this.received.slice(at)
        return { code: Number(line.slice(0, 3)), lines }
      }
    }
  }

  private async somethingNew(deadline: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no whole reply in time; unread: ${JSON.stringify(this.received)}`)),
        deadline - Date.now(),
      )
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  private end(reason: Error): void {
    this.ended ??= reason
    this.wake()
  }
}

/** Delivers one message over a connection of its own. */
export async function deliver(port: number, message: Message): Promise<void> {
  const client = await SmtpClient.greeted(port)
  try {
    await client.send(message)
    await client.quit()
  } finally {
    client.destroy()
  }
}

/** Dot-stuffed (RFC 5321 §4.5.2) and ended with the final dot; a missing last line end is added. */
export function stuffed(content: string | Buffer): Buffer {
  const text = typeof content === 'string' ? content : content.toString('latin1')
  const dotted = text.replace(/^\./gm, '..')
  return Buffer.from(`${dotted}${dotted === '' || dotted.endsWith('\r\n') ? '' : '\r\n'}.\r\n`, 'latin1')
}
