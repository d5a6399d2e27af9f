/** A conversation in lines (SMTP, POP3) with a server, for a person to look at: what is said, and the answer to it.
 *  Never:  ends because of a certificate that others would not trust: it may be self-signed, and `tls` says so.
 *  Fails:  throws with what was said and what came instead. */
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import { type Clock, within } from '../system/clock.ts'

const replyBytesMax: number = 1024 * 1024

export interface TlsFound {
  /** `TLSv1.3`. */
  readonly protocol: string
  readonly cipher: string
  readonly subject: string
  readonly issuer: string
  /** As the certificate has it. */
  readonly validTo: string
  /** Why a verification by the machine's authorities and the name would fail; empty if it would not. */
  readonly trouble: string
}

export class LineSession {
  private socket: Socket
  private readonly name: string
  private readonly clock: Clock
  private readonly millisecondsMax: number
  private input = ''
  private ended: string | undefined
  private wake: () => void = () => undefined

  private constructor(socket: Socket, name: string, clock: Clock, millisecondsMax: number) {
    this.socket = socket
    this.name = name
    this.clock = clock
    this.millisecondsMax = millisecondsMax
    this.listen(socket)
  }

  static async open(
    at: { readonly host: string; readonly port: number; readonly tls: boolean; readonly name?: string },
    clock: Clock,
    millisecondsMax: number,
  ): Promise<LineSession> {
    const { host, port, tls } = at
    const socket = tls ? connectTls({ host, port, ...tlsOptions(at.name) }) : connect({ host, port })
    const session = new LineSession(socket, `${host}:${port}`, clock, millisecondsMax)
    await session.within('no connection', connected(socket, tls))
    return session
  }

  /** STARTTLS or STLS was answered: from here on in TLS. */
  async secure(name?: string): Promise<void> {
    // What came in clear after the answer is dropped (RFC 3207 §5).
    this.input = ''
    this.socket.removeAllListeners('data')
    const socket = connectTls({ socket: this.socket, ...tlsOptions(name) })
    this.socket = socket
    this.listen(socket)
    await this.within('no TLS', connected(socket, true))
  }

  /** Undefined: it is in clear. */
  tls(): TlsFound | undefined {
    const { socket } = this
    if (!(socket instanceof TLSSocket)) return undefined
    const { subject, issuer, valid_to: validTo } = socket.getPeerCertificate()
    return {
      protocol: socket.getProtocol() ?? '',
      cipher: socket.getCipher().name,
      subject: String(subject?.CN ?? ''),
      issuer: String(issuer?.O ?? issuer?.CN ?? ''),
      validTo: validTo ?? '',
      trouble: socket.authorized ? '' : String(socket.authorizationError),
    }
  }

  /** `line` empty: only listens. `end`: matches the answer's last line. Resolves with the answer, lines ended by CRLF. */
  async say(line: string, end: RegExp = /^\d{3}(?: .*)?\r\n/m): Promise<string> {
    if (line !== '') this.socket.write(`${line}\r\n`, 'latin1')
    const shown = line.split('\r\n')[0] ?? ''
    return await this.within(`no answer to '${hidden(shown)}'`, this.answer(end))
  }

  /** As `say`; throws unless the answer begins with `begin`. */
  async want(line: string, begin: string, end?: RegExp): Promise<string> {
    const answer = await this.say(line, end)
    if (answer.startsWith(begin)) return answer
    throw new Error(`${this.name}: '${hidden(line.split('\r\n')[0] ?? '')}' was answered '${answer.trim()}'`)
  }

  close(): void {
    this.socket.destroy()
  }

  private async answer(end: RegExp): Promise<string> {
    for (;;) {
      const found = end.exec(this.input)
      if (found !== null) {
        const length = found.index + found[0].length
        const answer = this.input.slice(0, length)
        this.input = this.input.slice(length)
        return answer
      }
      if (this.ended !== undefined) throw new Error(`${this.name}: ${this.ended}`)
      await new Promise<void>((resolve) => (this.wake = resolve))
    }
  }

  private listen(socket: Socket): void {
    const end = (why: string): void => {
      this.ended ??= why
      this.wake()
    }
    socket.on('error', (error) => end(error.message))
    socket.on('close', () => end('closed the connection'))
    socket.on('data', (chunk: Buffer) => {
      this.input += chunk.toString('latin1')
      if (this.input.length > replyBytesMax) socket.destroy(new Error(`says more than ${replyBytesMax} bytes`))
      this.wake()
    })
  }

  private within<T>(what: string, promise: Promise<T>): Promise<T> {
    return within(this.clock, this.millisecondsMax, `${this.name}: ${what}`, promise)
  }
}

/** RFC 6066 §3: no address in the server name indication. */
function tlsOptions(name: string | undefined): { rejectUnauthorized: false; servername?: string } {
  const common = { rejectUnauthorized: false } as const
  return name === undefined || isIP(name) !== 0 ? common : { ...common, servername: name }
}

function connected(socket: Socket, tls: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(tls ? 'secureConnect' : 'connect', () => resolve())
    socket.once('error', reject)
  })
}

/** Keeps secrets out of error messages. */
function hidden(line: string): string {
  return line.replace(/^(AUTH PLAIN|PASS) .*$/i, '$1 …')
}
