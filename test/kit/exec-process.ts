/** Runs the real exec process on a home of its own, and plays the queue for it: what it enqueues is kept for the test. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ExecuteClient } from '../../src/clients/execute/client.ts'
import { decodeEnqueueRequest, encodeEnqueueReply, type EnqueueRequest } from '../../src/contracts/enqueue.ts'
import type { Envelope, Params } from '../../src/contracts/envelope.ts'
import { decodeFromProgram } from '../../src/contracts/supervise.ts'
import { type Home, homeAt, socketPath } from '../../src/stores/home/layout.ts'
import { realClock } from '../../src/system/clock.ts'
import { connectPath, FrameConnection } from '../../src/system/frame-connection.ts'
import { programArguments } from './programs.ts'

export interface Enqueued {
  readonly envelope: Envelope
  readonly params: Params
  readonly content: string
}

/** What the played queue says to every message. */
export const queuedId = 4711

export class ExecProcess {
  readonly home: Home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-exec-')))
  readonly client: ExecuteClient
  readonly enqueued: Enqueued[] = []
  log = ''
  private readonly bound: net.BoundSocket
  private readonly queue: net.Server
  private child: ChildProcess | undefined

  constructor() {
    for (const path of [this.home.control, this.home.run, this.home.bin]) mkdirSync(path, { recursive: true })
    this.bound = new net.BoundSocket({ path: socketPath(this.home, 'exec') } as net.BoundSocketOptions)
    this.queue = net.createServer((socket) => this.serveQueue(socket)).listen(socketPath(this.home, 'queue-network'))
    this.client = new ExecuteClient(() => this.connect(), realClock)
  }

  connect(): Promise<net.Socket> {
    return connectPath(socketPath(this.home, 'exec'))
  }

  async start(): Promise<void> {
    const args = [...programArguments('exec'), '--home', this.home.path, '--listen', 'exec']
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', this.bound.fd()],
      env: { PATH: process.env['PATH'], HOME: '/nowhere', NOT_FOR_PLUG_INS: '1' },
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
  }

  get pid(): number {
    return this.child?.pid ?? 0
  }

  /** An executable file in HOME/bin; its path, relative to the home. */
  program(name: string, text: string): string {
    writeFileSync(join(this.home.bin, name), text, { mode: 0o755 })
    return `bin/${name}`
  }

  /** Resolves when the log has it. */
  async logged(text: string): Promise<void> {
    while (!this.log.includes(text)) await new Promise((resolve) => setTimeout(resolve, 10))
  }

  /** Killed, and started again on the same socket. */
  async restart(): Promise<void> {
    await this.end('SIGKILL')
    await this.start()
  }

  async stop(): Promise<void> {
    this.client.close()
    this.queue.close()
    this.bound.close()
    await this.end('SIGTERM')
    rmSync(this.home.path, { recursive: true, force: true })
  }

  private async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { child } = this
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  }

  private serveQueue(socket: net.Socket): void {
    let opened: Extract<EnqueueRequest, { kind: 'open' }> | undefined
    let content = ''
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (frame) => {
        const request = decodeEnqueueRequest(frame)
        if (request === undefined) return
        if (request.kind === 'open') {
          opened = request
          // A file is the real queue's to give.
          if (request.asFile === true) connection.send(encodeEnqueueReply({ kind: 'frames', ref: request.ref }))
        }
        if (request.kind === 'submit') opened = { ...request, kind: 'open' }
        if (request.kind === 'submit') content = Buffer.concat(request.body).toString('latin1')
        if (request.kind === 'chunk') content += request.bytes.toString('latin1')
        if ((request.kind !== 'close' && request.kind !== 'submit') || opened === undefined) return
        this.enqueued.push({ envelope: opened.envelope, params: opened.params, content: request.head + content })
        content = ''
        connection.send(encodeEnqueueReply({ kind: 'accepted', ref: opened.ref, id: queuedId }))
      },
      onClose: () => undefined,
    })
  }
}

/** For `{ skip }` of a test: false where the interpreter works. */
export function skipWithoutInterpreter(name: 'perl' | 'python3'): string | false {
  const args = name === 'perl' ? ['-e', '1'] : ['-c', '1']
  return spawnSync(name, args).status === 0 ? false : `no ${name} on this machine`
}
