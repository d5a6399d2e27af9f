import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { BoundSocket, connect, createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'
import { askAll } from '../../clients/admin/ask.ts'
import { homeAt, socketPath } from '../../stores/home/layout.ts'
import { makeHome } from '../../stores/home/make.ts'
import { writeSelfSigned } from '../../stores/home/tls-files.ts'
import { bindTcp } from '../../system/bind.ts'
import { realClock, within } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { realRandom } from '../../system/random.ts'
import { nextDelay } from './child.ts'
import type { StartOptions } from './options.ts'
import type { Program } from './program.ts'
import { start, type Started } from './start.ts'

const file = fileURLToPath(import.meta.resolve('../../../test/start/answering.ts'))
const plain = { for: undefined, tls: false, injects: false, threads: undefined, file } as const
const table: readonly Program[] = [
  { ...plain, name: 'first', role: 'queue', phase: 0, listens: ['queue-inject'] },
  { ...plain, name: 'last', role: 'smtpd', phase: 1, listens: ['smtp'], for: ['smtp'], tls: true },
]
const waitMillisecondsMax = 20_000

describe('start', () => {
  let directory = ''
  let running: Started[] = []
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'quaver-start-'))
    running = []
    await makeHome(directory, undefined)
    writeFileSync(join(directory, 'control/me'), 'quaver.test\n')
  })
  afterEach(async () => {
    for (const started of running) {
      started.fleet.kill()
      await started.stop()
    }
    rmSync(directory, { recursive: true, force: true })
  })

  const run = async (options: Partial<StartOptions> = {}): Promise<Started> => {
    const { promise: ready, resolve } = Promise.withResolvers<void>()
    const started = await start(
      {
        home: directory,
        demo: true,
        services: undefined,
        smtpPort: 0,
        verbose: false,
        tour: true,
        log: undefined,
        readyFd: undefined,
        ...options,
      },
      table,
      { allReady: resolve, ready: () => undefined },
    )
    running.push(started)
    await within(realClock, waitMillisecondsMax, 'all programs ready', ready)
    return started
  }
  const lines = (name: string): string[] =>
    existsSync(join(directory, name)) ? readFileSync(join(directory, name), 'utf8').trim().split('\n') : []

  it('starts phase by phase, stops the other way round, and removes its socket files', async () => {
    const started = await run()
    assert.deepEqual(lines('starts'), ['queue-inject', 'smtp'])
    assert.equal(statSync(socketPath(homeAt(directory), 'queue-inject')).mode & 0o777, 0o666)
    assert.equal(statSync(socketPath(homeAt(directory), 'start')).mode & 0o777, 0o600)
    await started.stop()
    assert.deepEqual(lines('stops'), ['smtp', 'queue-inject'])
    assert.equal(existsSync(socketPath(homeAt(directory), 'start')), false)
  })

  it('a connection made while the program is dead is answered by the next one', async () => {
    const started = await run()
    const port = started.listening.bound.get('smtp')?.[0]?.port ?? 0
    const before = await answer(port)
    process.kill(Number(before), 'SIGKILL')
    await until(() => statusOf(started, 'last')?.state === 'waiting')
    const after = await answer(port)
    assert.notEqual(after, before)
    await until(() => statusOf(started, 'last')?.state === 'running')
    assert.equal(statusOf(started, 'last')?.restarts, 1)
    assert.equal(statusOf(started, 'last')?.lastEnd, 'signal SIGKILL')
    assert.equal(statusOf(started, 'first')?.restarts, 0)
  })

  it('a program that says why it cannot run is quoted and tried again', async () => {
    const started = await run()
    writeFileSync(join(directory, 'refuse-smtp'), '')
    process.kill(statusOf(started, 'last')?.pid ?? 0, 'SIGKILL')
    await until(() => (statusOf(started, 'last')?.restarts ?? 0) >= 2)
    assert.equal(statusOf(started, 'last')?.lastEnd, 'it was told to refuse')
    assert.match(
      readFileSync(started.screen.logPath ?? '', 'utf8'),
      /start: warning: last cannot run: it was told to refuse; it is started again in 0\.4 s/,
    )
    rmSync(join(directory, 'refuse-smtp'))
    await until(() => statusOf(started, 'last')?.state === 'running')
  })

  it('names a taken port and leaves no socket behind', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await assert.rejects(
      run({ smtpPort: port }),
      new RegExp(`^BindError: port ${port} is taken \\(127.0.0.1:${port}\\): 'ss -ltnp`),
    )
    assert.equal(existsSync(socketPath(homeAt(directory), 'queue-inject')), false)
    other.close()
  })

  it('names a port that another program has bound before and listens on now', async () => {
    const other = new BoundSocket({ host: '127.0.0.1', port: 0 })
    const { port } = other.address()
    const own = bindTcp({ host: '127.0.0.1', port })
    const server = createServer().listen(other)
    await once(server, 'listening')
    assert.throws(() => own.listen(), { name: 'BindError', message: new RegExp(`^port ${port} is taken`) })
    own.close()
    server.close()
  })

  it('a connection made before the program runs is answered when it does', async () => {
    const own = bindTcp({ host: '127.0.0.1', port: 0 })
    own.listen()
    const socket = connect(own.port ?? 0, '127.0.0.1')
    await once(socket, 'connect')
    const server = own.serve((accepted) => accepted.end('served'))
    assert.equal(await within(realClock, waitMillisecondsMax, 'an answer', text(socket)), 'served')
    server.close()
  })

  it('refuses a second start on the same home', async () => {
    await run()
    await assert.rejects(run(), /another 'quaver start' runs on/)
    assert.deepEqual(lines('starts').length, 2)
  })

  it('answers status and reload over its socket', async () => {
    await run({ services: [] })
    const path = socketPath(homeAt(directory), 'start')
    const [summary, ...rows] = await askAll(path, { op: 'status' }, realClock)
    assert.partialDeepStrictEqual(summary, { home: directory, demo: true, services: [], smtp: [] })
    assert.equal(rows.length, 1)
    assert.partialDeepStrictEqual(rows[0], { program: 'first', state: 'running', restarts: 0 })
    assert.deepEqual(await askAll(path, { op: 'reload' }, realClock), [])
    await until(() => lines('reloads').length === 1)
    await assert.rejects(askAll(path, { op: 'sing' }, realClock), /not 'sing'/)
  })

  it('hands the certificate to the programs that want it, and again when it changed', async () => {
    const tls = homeAt(directory).tls
    await writeSelfSigned(realFiles, tls, 'quaver.test', realClock, realRandom)
    await run()
    const certificate = readFileSync(join(tls, 'cert.pem'), 'utf8')
    await until(() => lines('certificates').length > 0)
    assert.equal(readFileSync(join(directory, 'certificates'), 'utf8'), certificate)
    await writeSelfSigned(realFiles, tls, 'quaver.test', realClock, realRandom)
    const renewed = readFileSync(join(tls, 'cert.pem'), 'utf8')
    await until(() => readFileSync(join(directory, 'certificates'), 'utf8') === certificate + renewed)
  })
})

it('back-off doubles up to ten seconds', () => {
  const delays = [0]
  for (let n = 0; n < 8; n++) delays.push(nextDelay(delays.at(-1) ?? 0))
  assert.deepEqual(delays, [0, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000])
})

function statusOf(started: Started, program: string) {
  return started.fleet.status().find((one) => one.program === program)
}

/** What the program says; waits in the backlog if it is dead. */
async function answer(port: number): Promise<string> {
  return (await within(realClock, waitMillisecondsMax, 'an answer', text(connect(port, '127.0.0.1')))).trim()
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = realClock.monotonic() + waitMillisecondsMax
  while (!holds()) {
    assert.ok(realClock.monotonic() < deadline, `not in time: ${String(holds)}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
