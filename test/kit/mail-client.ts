/** A client of a port that is TLS from its first byte: says lines, waits for what fits. Any certificate will do. */
import { connect, type TLSSocket } from 'node:tls'

const answerMillisecondsMax = 20_000

export interface Connecting {
  readonly port: number
  readonly host?: string
  /** The address from which it comes. */
  readonly localAddress?: string
}

export class MailClient {
  readonly socket: TLSSocket
  /** What was said and not yet waited for. */
  unread = ''
  closed = false
  private wake: () => void = () => undefined

  constructor({ port, host = '127.0.0.1', localAddress }: Connecting) {
    const local = localAddress === undefined ? {} : { localAddress }
    this.socket = connect({ port, host, ...local, rejectUnauthorized: false, allowHalfOpen: true } as object)
    this.socket.on('data', this.onData)
    this.socket.on('error', () => undefined)
    for (const event of ['end', 'close'])
      this.socket.on(event, () => {
        this.closed = true
        this.wake()
      })
  }

  /** Nothing more is read from the socket: the caller reads, or nobody. */
  stopReading(): void {
    this.socket.off('data', this.onData)
    this.socket.pause()
  }

  send(text: string): void {
    this.socket.write(text, 'latin1')
  }

  async say(line: string, fits: RegExp = /^.*\r\n/): Promise<string> {
    this.send(`${line}\r\n`)
    return await this.until(fits)
  }

  /** The text up to the end of the first fit; what was said if the other side closes before. */
  async until(fits: RegExp, millisecondsMax = answerMillisecondsMax): Promise<string> {
    const deadline = performance.now() + millisecondsMax
    for (;;) {
      const found = fits.exec(this.unread)
      if (found !== null || this.closed) {
        const length = found === null ? this.unread.length : found.index + found[0].length
        const text = this.unread.slice(0, length)
        this.unread = this.unread.slice(length)
        return text
      }
      await new Promise<void>((resolve, reject) => {
        const text = `not in time: ${String(fits)} after '${this.unread.slice(-200)}'`
        const timer = setTimeout(() => reject(new Error(text)), deadline - performance.now())
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** All there was until the other side closed. */
  async untilClosed(millisecondsMax = answerMillisecondsMax): Promise<string> {
    return await this.until(/(?!)/, millisecondsMax)
  }

  end(): void {
    this.socket.destroy()
  }

  private readonly onData = (bytes: Buffer): void => {
    this.unread += bytes.toString('latin1')
    this.wake()
  }
}

/** The answer to the password, of POP3. */
export async function popLogin(client: MailClient, name: string, password: string): Promise<string> {
  await client.until(/^\+OK.*\r\n/)
  await client.say(`USER ${name}`)
  return await client.say(`PASS ${password}`)
}

/** The answer to AUTH PLAIN, of submission. */
export async function smtpLogin(client: MailClient, name: string, password: string): Promise<string> {
  await client.until(/^220 .*\r\n/)
  await client.say('EHLO client.test', /^250 .*\r\n/m)
  return await client.say(`AUTH PLAIN ${Buffer.from(`\0${name}\0${password}`).toString('base64')}`)
}
