/** Drives a server with smtp-source and counts what comes out: files in Maildir/new, or messages at smtp-sink. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { CpuMeter } from './cpu.ts'
import type { PostfixTree } from './tools.ts'

export interface Cell {
  readonly name: string
  readonly to: 'maildir' | 'relay'
  readonly connections: number
  readonly bytes: number
  /** Messages follow one another on a connection. */
  readonly kept: boolean
  /** Of the messages of a row, so many are sent. */
  readonly share: number
}

export interface Measured {
  readonly acceptedPerSecond: number
  readonly endToEndPerSecond: number
  readonly cpuMillisecondsPerMessage: number
}

/** A running mail server, ours or another. */
export interface Server {
  readonly name: string
  readonly port: number
  readonly rootPid: number
  readonly cpu: CpuMeter
  /** A recipient whose mail ends in the Maildir, and one whose mail goes to the sink. */
  readonly recipients: Readonly<Record<Cell['to'], string>>
  /** Puts an empty Maildir in place and returns the path of its `new`. */
  freshMaildir(): string
  stop(): Promise<void>
}

const cellMillisecondsMax = 120_000
const pollMilliseconds = 10
const startMillisecondsMax = 20_000
/** After the last delivery a server still cleans up; that work is counted too. */
const settleMilliseconds = 300

export async function measure(
  server: Server,
  cell: Cell,
  messages: number,
  sink: SinkProcess,
  tree: PostfixTree,
): Promise<Measured> {
  const arrived = counterOf(server, cell, sink)
  const cpuBefore = server.cpu.milliseconds()
  const started = performance.now()
  await source(tree, server, cell, messages)
  const accepted = performance.now()
  while (arrived() < messages) {
    if (performance.now() - started > cellMillisecondsMax)
      throw new Error(`${server.name}, ${cell.name}: ${arrived()} of ${messages} arrived`)
    await pause(pollMilliseconds)
  }
  const ended = performance.now()
  await pause(settleMilliseconds)
  return {
    acceptedPerSecond: (messages * 1000) / (accepted - started),
    endToEndPerSecond: (messages * 1000) / (ended - started),
    cpuMillisecondsPerMessage: (server.cpu.milliseconds() - cpuBefore) / messages,
  }
}

function counterOf(server: Server, cell: Cell, sink: SinkProcess): () => number {
  if (cell.to === 'maildir') {
    const directory = server.freshMaildir()
    return () => readdirSync(directory).length
  }
  const before = sink.messages
  return () => sink.messages - before
}

async function source(tree: PostfixTree, server: Server, cell: Cell, messages: number): Promise<void> {
  const program = join(tree.root, 'usr/sbin/smtp-source')
  const args = [
    ...(cell.kept ? ['-d'] : []),
    '-s',
    String(cell.connections),
    '-m',
    String(messages),
    '-l',
    String(cell.bytes),
  ]
  args.push('-f', 'sender@source.test', '-t', server.recipients[cell.to], `127.0.0.1:${server.port}`)
  const child = spawn(program, args, { env: tree.env, stdio: ['ignore', 'inherit', 'inherit'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), cellMillisecondsMax)
  const [code] = (await once(child, 'exit')) as [number | null]
  clearTimeout(timer)
  if (code !== 0) throw new Error(`${server.name}, ${cell.name}: smtp-source ended with ${code}`)
}

/** smtp-sink, and how many messages it says it has taken. */
export class SinkProcess {
  readonly port: number
  messages = 0
  private readonly child: ChildProcess

  private constructor(port: number, child: ChildProcess) {
    this.port = port
    this.child = child
    let rest = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      // One counter line per event, each ended by a carriage return: the last whole one is the state.
      const lines = (rest + chunk.toString('latin1')).split('\r')
      rest = lines.pop() ?? ''
      const count = /mesg=(\d+)/.exec(lines.at(-1) ?? '')?.[1]
      if (count !== undefined) this.messages = Number(count)
    })
  }

  static async start(tree: PostfixTree): Promise<SinkProcess> {
    const port = await freePort()
    const program = join(tree.root, 'usr/sbin/smtp-sink')
    const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
    const args = [...user, '-c', `127.0.0.1:${port}`, '1000']
    const child = spawn(program, args, { env: tree.env, stdio: ['ignore', 'pipe', 'inherit'] })
    await greeting(port, () => child.exitCode !== null)
    return new SinkProcess(port, child)
  }

  async stop(): Promise<void> {
    const exit = once(this.child, 'exit')
    this.child.kill()
    await exit
  }
}

/** Resolves when a server greets on the port; throws when it is gone or too slow. */
export async function greeting(port: number, gone: () => boolean): Promise<void> {
  const deadline = performance.now() + startMillisecondsMax
  while (!(await greets(port))) {
    if (gone()) throw new Error('the server ended before it greeted')
    if (performance.now() > deadline) throw new Error(`nobody greets on port ${port}`)
    await pause(50)
  }
}

async function greets(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    return chunk.toString('latin1').startsWith('220')
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** A port nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
