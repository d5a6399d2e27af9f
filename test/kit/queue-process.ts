/** Runs the real queue process on a home of its own, with its sockets bound as `start` binds them, so that a test can
 *  play smtpd, remote, lspawn and local against it. */
import type { TestContext } from 'node:test'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContentBudget } from '../../src/clients/queue/content-budget.ts'
import { EnqueueClient } from '../../src/clients/queue/enqueue.ts'
import { handOn } from '../../src/clients/queue/enqueuer.ts'
import type { Envelope, Params } from '../../src/contracts/envelope.ts'
import { type Attempt, decodeToDeliverer, encodeFromDeliverer, type ToDeliverer } from '../../src/contracts/deliver.ts'
import { askAll } from '../../src/clients/admin/ask.ts'
import { encodeHello, type Purpose } from '../../src/contracts/hello.ts'
import { decodeFromProgram } from '../../src/contracts/supervise.ts'
import { type Home, homeAt, type SocketName, socketPath } from '../../src/stores/home/layout.ts'
import { realClock } from '../../src/system/clock.ts'
import { connectPath, FrameConnection } from '../../src/system/frame-connection.ts'
import { programArguments } from './programs.ts'
import type { Outcome, Status } from '../../src/base/outcome.ts'
import { type Report, statusOf } from './status.ts'

const names: readonly SocketName[] = [
  'queue-network',
  'queue-inject',
  'queue-remote',
  'queue-lspawn',
  'queue-admin',
  'queue-own',
]

export class QueueProcess {
  readonly home: Home
  readonly enqueue: EnqueueClient
  log = ''
  private readonly bound: net.BoundSocket[]
  private child: ChildProcess | undefined
  private readonly open = new Set<FrameConnection>()

  /** `queueDirectory`: of another instance, to see that two do not share it. */
  constructor(control: Readonly<Record<string, string>>, queueDirectory?: string) {
    this.home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-queue-')))
    for (const path of [this.home.control, this.home.run]) mkdirSync(path, { recursive: true })
    if (queueDirectory === undefined) mkdirSync(join(this.home.queue, 'content'), { recursive: true })
    else symlinkSync(queueDirectory, this.home.queue)
    for (const [name, text] of Object.entries(control)) writeFileSync(join(this.home.control, name), text)
    this.bound = names.map(
      (name) => new net.BoundSocket({ path: socketPath(this.home, name) } as net.BoundSocketOptions),
    )
    this.enqueue = new EnqueueClient(() => connectPath(socketPath(this.home, 'queue-network')), realClock)
  }

  /** Resolves when the queue serves; rejects with its log if it exits instead. */
  async start(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const args = [...programArguments('queue'), '--home', this.home.path, '--demo', '--listen', names.join()]
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', ...this.bound.map((socket) => socket.fd())],
      env: { PATH: process.env['PATH'], ...environment },
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

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.child === undefined || this.child.exitCode !== null) return
    this.child.kill(signal)
    await once(this.child, 'exit')
  }

  /** Stops everything and removes the home. */
  async dispose(): Promise<void> {
    this.enqueue.close()
    for (const connection of this.open) connection.destroy('')
    await this.kill('SIGKILL')
    for (const socket of this.bound) socket.close()
    rmSync(this.home.path, { recursive: true, force: true })
  }

  /** As from smtpd. */
  submit(envelope: Envelope, params: Params, body: Buffer, head = ''): Promise<Outcome<number>> {
    return handOn(this.enqueue.open(envelope, params), head, [body])
  }

  /** The same, however small it is, chunk by chunk. */
  async stream(envelope: Envelope, params: Params, body: Buffer, head = ''): Promise<Outcome<number>> {
    const path = socketPath(this.home, 'queue-network')
    const client = new EnqueueClient(() => connectPath(path), realClock, new ContentBudget(0))
    return handOn(client.open(envelope, params), head, [body])
  }

  /** Waits until a line of the log matches. */
  async logged(pattern: RegExp, milliseconds = 10_000): Promise<RegExpExecArray> {
    const until = Date.now() + milliseconds
    for (;;) {
      const found = pattern.exec(this.log)
      if (found !== null) return found
      if (Date.now() > until) throw new Error(`no ${String(pattern)} in the log:\n${this.log}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async connect(
    name: SocketName,
    purpose: Purpose,
    uid: number,
    onMessage: (message: ToDeliverer) => void,
  ): Promise<FrameConnection> {
    const connection = new FrameConnection(await connectPath(socketPath(this.home, name)), {
      onFrame: (frame) => {
        const message = decodeToDeliverer(frame)
        if (message !== undefined) onMessage(message)
      },
      onClose: () => this.open.delete(connection),
    })
    this.open.add(connection)
    connection.send(encodeHello({ purpose, uid }))
    return connection
  }

  /** A `remote` that answers each attempt by the function given. */
  async remote(answer: (attempt: Attempt) => readonly (Report | Status)[] | undefined): Promise<FrameConnection> {
    const connection: FrameConnection = await this.connect('queue-remote', 'remote', 0, (message) => {
      if (message.kind !== 'attempt') return
      const statuses = answer(message)?.map(statusOf)
      if (statuses !== undefined) connection.send(encodeFromDeliverer({ kind: 'report', ref: message.ref, statuses }))
    })
    connection.send(encodeFromDeliverer({ kind: 'ready', capacity: 100 }))
    return connection
  }

  /** An lspawn for which every recipient is uid 1000's, and that uid's `local`. */
  async local(
    answer: (attempt: Attempt, local: FrameConnection) => Report | Status | undefined,
  ): Promise<FrameConnection> {
    const local = await this.localOf(1000, answer)
    await this.lspawn(() => 1000)
    return local
  }

  async lspawn(uidOf: (recipient: string) => number): Promise<void> {
    const lspawn: FrameConnection = await this.connect('queue-lspawn', 'lspawn', 0, (message) => {
      if (message.kind !== 'resolve') return
      const uid = uidOf(message.recipient)
      lspawn.send(encodeFromDeliverer({ kind: 'resolved', ref: message.ref, uid, key: 1 }))
    })
    lspawn.send(encodeFromDeliverer({ kind: 'ready', capacity: 20 }))
  }

  async localOf(
    uid: number,
    answer: (attempt: Attempt, local: FrameConnection) => Report | Status | undefined,
    onOther: (message: ToDeliverer) => void = () => undefined,
  ): Promise<FrameConnection> {
    const local: FrameConnection = await this.connect('queue-lspawn', 'local', uid, (message) => {
      if (message.kind !== 'attempt') return onOther(message)
      const report = answer(message, local)
      if (report !== undefined)
        local.send(encodeFromDeliverer({ kind: 'report', ref: message.ref, statuses: [statusOf(report)] }))
    })
    local.send(encodeFromDeliverer({ kind: 'ready', capacity: 20 }))
    return local
  }

  /** Rows of an admin request; rejects with the queue's error text. */
  async ask(request: object): Promise<Record<string, unknown>[]> {
    return (await askAll(socketPath(this.home, 'queue-admin'), request, realClock)) as Record<string, unknown>[]
  }
}

/** Runs until the test is over. */
export async function queueFor(
  t: TestContext,
  control: Readonly<Record<string, string>> = { me: 'me.example\n' },
): Promise<QueueProcess> {
  const queue = new QueueProcess(control)
  t.after(() => queue.dispose())
  await queue.start()
  return queue
}
