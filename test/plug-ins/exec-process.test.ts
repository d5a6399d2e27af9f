/** The exec process itself: what a bad or lost caller does to it, and what its death does to callers. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  decodeExecuteRequest,
  encodeExecuteRequest,
  environmentBytesMax,
  type ExecuteRequest,
} from '../../src/contracts/execute.ts'
import { encodeFrame, type Frame, FrameReader } from '../../src/contracts/frame.ts'
import { encodeHello } from '../../src/contracts/hello.ts'
import { ExecProcess } from '../kit/exec-process.ts'
import { withoutRoot } from '../kit/tool.ts'

const exec = new ExecProcess()
before(() => exec.start())
after(() => exec.stop())

const run = (program: string, millisecondsMax = 10_000) =>
  ({ kind: 'shell', program, args: [], environment: new Map(), millisecondsMax, outputBytesMax: 1000 }) as const

function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = []
  new FrameReader().push(bytes, (frame) => frames.push(frame))
  return frames
}

test('requests survive their encoding; what breaks the contract is refused', () => {
  const environment = new Map([
    ['A', '\xff=\n'],
    ['B', ''],
  ])
  const requests: readonly ExecuteRequest[] = [
    { request: 'run', ref: 7, ...run('echo'), args: ['a', ''], environment },
    { request: 'cancel', ref: 7 },
    { request: 'chain', filters: ['a', 'b'], queueProgram: '', environment },
  ]
  for (const request of requests) {
    assert.deepEqual(framesOf(encodeExecuteRequest(request)).map(decodeExecuteRequest), [request])
  }
  const broken = (variables: Map<string, string>): (() => void) => {
    return () =>
      framesOf(encodeExecuteRequest({ request: 'run', ref: 1, ...run(''), environment: variables })).map(
        decodeExecuteRequest,
      )
  }
  assert.throws(broken(new Map([['', 'x']])), { name: 'ContractError' })
  assert.throws(broken(new Map([['A', '\0']])), { name: 'ContractError' })
  assert.throws(broken(new Map([['A', 'x'.repeat(environmentBytesMax)]])), { name: 'ContractError' })
})

test('output up to the limit, in lines; the end says how', async () => {
  const lines: string[] = []
  const take = (line: string): boolean => lines.push(line) < 100
  assert.deepEqual(await exec.client.run(run('printf "a\\n\\nb"; exit 3'), take), { how: 'exit', code: 3, detail: '' })
  assert.deepEqual(lines, ['a', '', 'b'])
  const tooMuch = await exec.client.run(run('head -c 2000 /dev/zero'), take)
  assert.equal(tooMuch.how, 'output')
  const killed = await exec.client.run(run('kill -TERM $$'), take)
  assert.deepEqual(killed, { how: 'signal', code: 0, detail: 'SIGTERM' })
  const notRun = await exec.client.run({ ...run('/etc/passwd'), kind: 'path' }, take)
  assert.equal(notRun.how, 'not-run')
})

test('descriptor 1 is a pipe that can be opened by name', async () => {
  const lines: string[] = []
  await exec.client.run(run('echo named > /dev/stdout'), (line) => lines.push(line) > 0)
  assert.deepEqual(lines, process.platform === 'linux' ? ['named'] : lines)
})

test('a program whose reader has enough notices, and may still finish', async () => {
  const body =
    'trap "" PIPE; while echo more 2> /dev/null; do sleep 0.05; done; echo noticed > pipe.new; mv pipe.new pipe.out'
  assert.equal((await exec.client.run(run(body), () => false)).how, 'enough')
  const path = join(exec.home.path, 'pipe.out')
  while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(readFileSync(path, 'latin1'), 'noticed\n')
})

// What it has open is shown to root alone.
test('descriptors are given back, however programs end', { skip: withoutRoot() }, async () => {
  const count = (): number => readdirSync(`/proc/${exec.pid}/fd`).length
  const endings = ['exit 0', 'kill -9 $$', 'head -c 5000 /dev/zero', 'echo x; sleep 0.1', 'sleep 5']
  const round = async (): Promise<void> => {
    await Promise.all(endings.map((body) => exec.client.run(run(body, 300), (line) => line !== 'x')))
    await exec.client.run({ ...run('/no/such'), kind: 'path' }, () => true)
  }
  await round()
  await new Promise((resolve) => setTimeout(resolve, 400))
  const first = count()
  for (let n = 0; n < 5; n++) await round()
  await new Promise((resolve) => setTimeout(resolve, 400))
  assert.ok(count() <= first, `${first} descriptors before, ${count()} after`)
})

test('a caller that breaks the contract is closed; others do not notice', async () => {
  const hello = encodeHello({ purpose: 'execute', uid: 0 })
  const bad: readonly Buffer[] = [
    Buffer.from('GET / HTTP/1.0\r\n\r\n'),
    encodeFrame(99),
    encodeHello({ purpose: 'enqueue', uid: 0 }),
    Buffer.concat([hello, encodeFrame(1, Buffer.from('x'))]),
    Buffer.concat([hello, encodeFrame(112, Buffer.from('short'))]),
  ]
  const waiting = exec.client.run(run('sleep 0.3; exit 5'), () => true)
  for (const bytes of bad) {
    const socket = await exec.connect()
    socket.resume().end(bytes)
    await once(socket, 'close')
  }
  assert.equal((await waiting).code, 5)
})

test('when the caller goes, so do its programs', async () => {
  const socket = await exec.connect()
  socket.write(encodeHello({ purpose: 'execute', uid: 0 }))
  const body = 'echo $$ > left.pid; sleep 20'
  socket.write(encodeExecuteRequest({ request: 'run', ref: 1, ...run(body, 30_000) }))
  const path = join(exec.home.path, 'left.pid')
  while (!existsSync(path) || readFileSync(path, 'latin1') === '') await new Promise((r) => setTimeout(r, 10))
  const pid = Number(readFileSync(path, 'latin1'))
  socket.destroy()
  const isAlive = (): boolean => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }
  while (isAlive()) await new Promise((resolve) => setTimeout(resolve, 10))
})

test('exec dies with work in hand: the caller is told, and the next run finds the next exec', async () => {
  const waiting = exec.client.run(run('sleep 20'), () => true)
  const started: string[] = []
  await exec.client.run(run('echo up'), (line) => started.push(line) > 0)
  await exec.restart()
  assert.equal((await waiting).how, 'lost')
  assert.equal((await exec.client.run(run('exit 9'), () => true)).code, 9)
})

test('a run that exec would not take costs nobody else anything', async () => {
  const other = exec.client.run(run('sleep 1; echo done'), () => true)
  const many = new Map(Array.from({ length: 1001 }, (_, n) => [`V${n}`, '']))
  const faulty = [
    { ...run('true'), environment: many },
    { ...run('true'), environment: new Map([['A', 'x\0y']]) },
    run(`: ${'x'.repeat(5000)}`),
    run('echo \0'),
  ]
  for (const one of faulty) assert.equal((await exec.client.run(one, () => true)).how, 'not-run')
  assert.deepEqual(await other, { how: 'exit', code: 0, detail: '' })
})
