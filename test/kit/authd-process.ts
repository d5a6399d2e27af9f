/** Runs the real authd on a home of its own, and plays lspawn for it. A test asks through the client that login uses. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromText } from '../../src/base/byte-string.ts'
import { askAll } from '../../src/clients/admin/ask.ts'
import { type AuthAttempt, AuthClient, type AuthStep } from '../../src/clients/auth/auth-client.ts'
import { decodeHello } from '../../src/contracts/hello.ts'
import {
  decodeTicketRequest,
  encodeTicketReply,
  type TicketReply,
  type TicketRequest,
} from '../../src/contracts/sessions.ts'
import { decodeFromProgram } from '../../src/contracts/supervise.ts'
import { type Home, homeAt, socketPath } from '../../src/stores/home/layout.ts'
import { realClock } from '../../src/system/clock.ts'
import { connectPath, FrameConnection } from '../../src/system/frame-connection.ts'
import { programArguments } from './programs.ts'

const names = ['authd', 'authd-admin'] as const
const peer = { service: 'submission', remoteIp: '192.0.2.1', remotePort: 4711 } as const

export type TicketQuestion = Exclude<TicketRequest, { kind: 'revoke' }>

/** Undefined: no answer. */
export type PlayedLspawn = (request: TicketQuestion) => TicketReply | undefined

/** Takes every ticket. */
export const willing: PlayedLspawn = (request) => {
  const account = request.kind === 'admit' ? request.account : request.name
  return { kind: 'admitted', ref: request.ref, account }
}

export class AuthdProcess {
  readonly home: Home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-authd-')))
  readonly client: AuthClient
  readonly told: TicketQuestion[] = []
  readonly revoked: string[] = []
  lspawn: PlayedLspawn = willing
  log = ''
  private readonly bound: readonly net.BoundSocket[]
  private readonly server: net.Server
  private child: ChildProcess | undefined

  constructor(control: Readonly<Record<string, string>> = {}) {
    for (const path of [this.home.control, this.home.run, this.home.auth]) mkdirSync(path, { recursive: true })
    for (const [name, text] of Object.entries({ me: 'host.test\n', ...control }))
      writeFileSync(join(this.home.control, name), text)
    this.bound = names.map(
      (name) => new net.BoundSocket({ path: socketPath(this.home, name) } as net.BoundSocketOptions),
    )
    this.server = net.createServer((socket) => this.serveTickets(socket))
    this.server.listen(socketPath(this.home, 'lspawn-tickets'))
    this.client = new AuthClient(() => connectPath(socketPath(this.home, 'authd')), realClock)
  }

  async start(): Promise<void> {
    const args = [...programArguments('authd'), '--home', this.home.path, '--listen', names.join()]
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', ...this.bound.map((socket) => socket.fd())],
      env: { PATH: process.env['PATH'] },
    })
    this.child = child
    child.stderr?.on('data', (text: Buffer) => {
      this.log += text.toString('latin1')
    })
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(this.log)))
      new FrameConnection(child.stdio[3] as net.Socket, {
        onFrame: (frame) => {
          if (decodeFromProgram(frame)?.kind === 'ready') resolve()
        },
        onClose: () => undefined,
      })
    })
    while (!this.client.isServed) await pause()
  }

  get pid(): number {
    return this.child?.pid ?? 0
  }

  begin(mechanism: string, initial?: string, more: Partial<AuthAttempt> = {}): Promise<AuthStep> {
    return this.client.begin({ mechanism, initial, peer, bindings: new Map(), ...more })
  }

  /** PLAIN, from an address. */
  plain(name: string, password: string, remoteIp: string = peer.remoteIp): Promise<AuthStep> {
    return this.begin('PLAIN', fromText(`\0${name}\0${password}`), { peer: { ...peer, remoteIp } })
  }

  async ask(request: object): Promise<unknown[]> {
    return await askAll(socketPath(this.home, 'authd-admin'), request, realClock)
  }

  /** Resolves when the log has it. */
  async logged(text: string): Promise<void> {
    while (!this.log.includes(text)) await pause()
  }

  /** Killed, and started again on the same sockets. */
  async restart(): Promise<void> {
    await this.end('SIGKILL')
    while (this.client.isServed) await pause()
    await this.start()
  }

  async stop(): Promise<void> {
    this.client.close()
    await this.end('SIGTERM')
    this.server.close()
    for (const socket of this.bound) socket.close()
    rmSync(this.home.path, { recursive: true, force: true })
  }

  private async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { child } = this
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  }

  private serveTickets(socket: net.Socket): void {
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (first) => {
        if (decodeHello(first).purpose !== 'tickets') throw new Error('not a tickets connection')
        connection.handOver({
          onFrame: (frame) => {
            const request = decodeTicketRequest(frame)
            if (request.kind === 'revoke') return void this.revoked.push(request.account)
            this.told.push(request)
            const reply = this.lspawn(request)
            if (reply !== undefined) connection.send(encodeTicketReply(reply))
          },
          onClose: () => undefined,
        })
      },
      onClose: () => undefined,
    })
  }
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 10))
}
