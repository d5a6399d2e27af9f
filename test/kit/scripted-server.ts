/** An SMTP server that does what a test's script says, byte by byte, on each connection; it can go on in TLS.
 *  Knows:  lines and content ends. Never: answers by itself. */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'

/** Longer than any reply should take; a script that waits longer has failed. */
const waitMillisecondsMax = 10_000
const portTriesMax = 20

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** One script a connection; the last serves all further ones. It ends by closing unless the script says otherwise. */
export type Script = (peer: Peer) => Promise<void>

export class ScriptedServer {
  readonly peers: Peer[] = []
  private readonly server: Server
  private readonly scripts: Promise<void>[] = []

  private constructor(server: Server, scripts: readonly Script[]) {
    this.server = server
    server.on('connection', (socket) => {
      const peer = new Peer(socket)
      const script = scripts[Math.min(this.peers.length, scripts.length - 1)]
      this.peers.push(peer)
      this.scripts.push((script ?? (async () => undefined))(peer).finally(() => peer.close()))
    })
  }

  static async listen(scripts: readonly Script[], port = 0, host = '127.0.0.1'): Promise<ScriptedServer> {
    const server = createServer({ noDelay: true })
    const scripted = new ScriptedServer(server, scripts)
    server.listen(port, host)
    await once(server, 'listening')
    // A forgotten one must not keep the test process alive.
    server.unref()
    return scripted
  }

  /** One at 127.0.0.1, the other at the same port of 127.0.0.2. */
  static async pair(first: readonly Script[], second: readonly Script[]): Promise<[ScriptedServer, ScriptedServer]> {
    for (let tries = 1; ; tries++) {
      const other = await ScriptedServer.listen(second, 0, '127.0.0.2')
      try {
        return [await ScriptedServer.listen(first, other.port), other]
      } catch (error) {
        // Somebody has that port at 127.0.0.1.
        await other.close()
        if (tries === portTriesMax) throw error
      }
    }
  }

  get port(): number {
    const address = this.server.address()
    if (address === null || typeof address === 'string') throw new Error('not listening')
    return address.port
  }

  /** Waits for the scripts, so that a script's own complaint fails the test. */
  async close(): Promise<void> {
    this.server.close()
    await Promise.all(this.scripts)
  }
}

export class Peer {
  /** What the client sent, as the script read it. */
  readonly received: string[] = []
  private socket: Socket
  private input = ''
  private ended = false
  private wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.socket = socket
    this.listen(socket)
  }

  send(text: string): void {
    this.socket.write(text, 'latin1')
  }

  /** The next line with its end; empty if the client closed before. */
  async line(): Promise<string> {
    return await this.upTo(() => {
      const end = this.input.indexOf('\n')
      return end < 0 ? undefined : end + 1
    })
  }

  /** A line, and an answer to it. */
  async expect(prefix: string, answer: string): Promise<string> {
    const line = await this.line()
    if (!line.startsWith(prefix)) throw new Error(`expected ${prefix}, got ${JSON.stringify(line)}`)
    this.send(answer)
    return line
  }

  /** All up to the final dot, with it. */
  async content(): Promise<string> {
    return await this.upTo(() => {
      if (this.input.startsWith('.\r\n')) return 3
      const end = this.input.indexOf('\r\n.\r\n')
      return end < 0 ? undefined : end + 5
    })
  }

  /** All until the client closes. */
  async tail(): Promise<string> {
    return await this.upTo(() => undefined)
  }

  /** `demandCert`: a client without a certificate fails, which it learns only after its handshake (TLS 1.3). */
  async startTls({ cert, key }: Certificate, requestCert = false, demandCert = false): Promise<void> {
    this.socket.removeAllListeners('data')
    const secured = new TLSSocket(this.socket, {
      isServer: true,
      secureContext: createSecureContext({ cert, key }),
      requestCert,
      rejectUnauthorized: demandCert,
    })
    this.socket = secured
    this.listen(secured)
    await new Promise<void>((resolve) => {
      secured.once('secure', resolve)
      secured.once('close', resolve)
    })
  }

  /** What has come and no script has read. */
  get unread(): string {
    return this.input
  }

  /** Whose certificate the client showed, in TLS. */
  get clientName(): string | undefined {
    if (!(this.socket instanceof TLSSocket)) return undefined
    const name: unknown = this.socket.getPeerCertificate().subject?.CN
    return typeof name === 'string' ? name : undefined
  }

  /** The client is gone. */
  get closed(): boolean {
    return this.ended
  }

  close(): void {
    this.socket.end()
    this.socket.destroySoon()
  }

  private listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      this.input += chunk.toString('latin1')
      this.wake()
    })
    const end = (): void => {
      this.ended = true
      this.wake()
    }
    socket.on('end', end)
    socket.on('close', end)
    socket.on('error', end)
  }

  private async upTo(find: () => number | undefined): Promise<string> {
    const deadline = Date.now() + waitMillisecondsMax
    for (;;) {
      const end = find() ?? (this.ended ? this.input.length : undefined)
      if (end !== undefined) {
        const text = this.input.slice(0, end)
        this.input = this.input.slice(end)
        this.received.push(text)
        return text
      }
      if (Date.now() > deadline) throw new Error(`the client sent no more; unread: ${JSON.stringify(this.input)}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMillisecondsMax)
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}
