/** Our SMTP server on a real socket in this process, with an enqueuer that remembers, and a bare client for it. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { TlsOrder } from '../../src/contracts/supervise.ts'
import { admit } from '../../src/servers/listener/admission.ts'
import type { ConnectionSetting } from '../../src/servers/listener/dialogue.ts'
import { Connections, type TurnedAway } from '../../src/servers/listener/connections.ts'
import { ContentBudget } from '../../src/clients/queue/content-budget.ts'
import { openGate } from '../../src/programs/smtpd/gate.ts'
import { type Limits, limits } from '../../src/programs/smtpd/limits.ts'
import { formatReply, type Reply } from '../../src/protocols/smtp/replies.ts'
import { Session } from '../../src/programs/smtpd/session.ts'
import { connectionEnvironment } from '../../src/programs/smtpd/trace.ts'
import type { Peer } from '../../src/servers/listener/peer.ts'
import type { Rules } from '../../src/stores/tcprules/rules-file.ts'
import { realClock } from '../../src/system/clock.ts'
import { ServerTls } from '../../src/system/server-tls.ts'
import { FakeEnqueuer, policyOf, type World } from './smtpd.ts'

/** A certificate for this run, or undefined where there is no openssl. */
export function selfSigned(): TlsOrder | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'quaver-tls-'))
  try {
    const files = ['-keyout', join(directory, 'key'), '-out', join(directory, 'cert')]
    const kind = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=lab.test',
    ]
    execFileSync('openssl', ['req', '-x509', ...kind, ...files], { stdio: 'ignore' })
    const [certificatePem, keyPem] = ['cert', 'key'].map((name) => readFileSync(join(directory, name), 'latin1'))
    if (certificatePem === undefined || keyPem === undefined) return undefined
    return { kind: 'tls', pairs: [{ names: [], certificatePem, keyPem }], ticketKeys: 'k'.repeat(48) }
  } catch {
    return undefined
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** How peers come in; without it as from a home without rules and proxies, and nobody waits for the greeting. */
export interface ListenerSetting {
  readonly rules?: Rules
  readonly isProxy?: (ip: string) => boolean
  /** Until then nobody knows about a peer. */
  readonly ask?: () => Promise<unknown>
}

export class SmtpServer {
  readonly enqueuer: FakeEnqueuer = new FakeEnqueuer()
  readonly log: string[] = []
  readonly connections: Connections
  private readonly server: Server

  constructor(world: World = {}, tlsOrder?: TlsOrder, spoof?: (peer: Peer) => Peer, listener: ListenerSetting = {}) {
    const allLimits: Limits = { ...limits, ...world.limits }
    const policy = policyOf(world)
    const budget = new ContentBudget(allLimits.contentBytesInFlightMax)
    const log = (line: string): void => void this.log.push(line)
    const tls = new ServerTls('opportunistic')
    if (tlsOrder !== undefined) tls.give(tlsOrder)
    const say = (reply: Reply): string => formatReply(reply, false)
    const settingFor = (real: Peer): ConnectionSetting | TurnedAway => {
      const peer = spoof?.(real) ?? real
      const admission = listener.rules === undefined ? undefined : admit(peer, policy, listener.rules)
      if (admission !== undefined && admission.verdict !== 'allow')
        return { ...admission, turnedAway: admission.verdict }
      const environment = admission?.environment ?? connectionEnvironment(peer, policy)
      const connection = {
        environment,
        limits: allLimits,
        clock: realClock,
        log,
        tls,
        protocol: 'smtp',
        implicitTls: false,
      }
      const setting = {
        ...connection,
        policy,
        gate: openGate(environment),
        budget,
        enqueuerFor: () => this.enqueuer,
        relayerOf: () => '',
        isOwnResult: () => false,
        tlsAvailable: () => tls.available,
      }
      return { ...connection, say, open: (port) => new Session(setting, port) }
    }
    this.connections = new Connections(allLimits, realClock, log, {
      settingFor: (peer) => listener.ask?.().then(() => settingFor(peer)) ?? settingFor(peer),
      isProxy: listener.isProxy ?? (() => false),
      say,
    })
    this.server = createServer({ noDelay: true }, (socket) => this.connections.accept(socket))
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    const address = this.server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  async stop(): Promise<void> {
    this.server.close()
    await this.connections.stop()
  }
}

/** Says what it is told and collects what it hears. */
export class BareClient {
  heard = ''
  closed = false
  private stream: Socket
  private wake: () => void = () => undefined

  constructor(stream: Socket) {
    this.stream = stream
    this.watch(stream)
  }

  static to(port: number, localAddress?: string): BareClient {
    return new BareClient(
      connect({ port, host: '127.0.0.1', allowHalfOpen: true, ...(localAddress && { localAddress }) }),
    )
  }

  say(text: string | Buffer): void {
    this.stream.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
  }

  /** Resolves when there is room for more, or nobody to say it to. */
  async pour(bytes: Buffer): Promise<void> {
    if (this.stream.write(bytes) || this.closed) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.stream.once('drain', resolve)
    this.stream.once('close', resolve)
    await promise
    this.stream.off('drain', resolve)
    this.stream.off('close', resolve)
  }

  finish(): void {
    this.stream.end()
  }

  destroy(): void {
    this.stream.destroy()
  }

  reset(): void {
    if (this.stream instanceof Socket) this.stream.resetAndDestroy()
  }

  /** Resolves with what was heard since the last call, once it matches; rejects if the connection closes first. */
  async until(wanted: RegExp, millisecondsMax = 5000): Promise<string> {
    const deadline = Date.now() + millisecondsMax
    while (!wanted.test(this.heard)) {
      if (this.closed || Date.now() > deadline) throw new Error(`heard ${JSON.stringify(this.heard)}, not ${wanted}`)
      await this.news()
    }
    const { heard } = this
    this.heard = ''
    return heard
  }

  async untilClosed(millisecondsMax = 5000): Promise<string> {
    const deadline = Date.now() + millisecondsMax
    while (!this.closed) {
      if (Date.now() > deadline) throw new Error(`still open after ${JSON.stringify(this.heard)}`)
      await this.news()
    }
    return this.heard
  }

  /** The TLS handshake on the same connection; rejects if it fails. */
  async handshake(ALPNProtocols: string[] = []): Promise<TLSSocket> {
    this.stream.removeAllListeners('data')
    this.stream.removeAllListeners('close')
    const secure = connectTls({
      socket: this.stream,
      rejectUnauthorized: false,
      ...(ALPNProtocols.length > 0 && { ALPNProtocols }),
    })
    await new Promise<void>((resolve, reject) => {
      secure.once('secureConnect', resolve)
      secure.once('error', reject)
      secure.once('close', () => reject(new Error('closed in the handshake')))
    })
    this.stream = secure
    this.watch(secure)
    return secure
  }

  private watch(stream: Socket): void {
    stream.on('data', (chunk: Buffer) => {
      this.heard += chunk.toString('latin1')
      this.wake()
    })
    stream.on('end', () => stream.end())
    stream.on('error', () => undefined)
    stream.on('close', () => {
      this.closed = true
      this.wake()
    })
  }

  private news(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 50)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
