/** In a process of its own with few descriptors: more callers than it can have wait, and are served when others leave. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { once } from 'node:events'
import { test } from 'node:test'

const program = `
const { BoundSocket } = await import('node:net')
const { Acceptor } = await import(${JSON.stringify(join(import.meta.dirname, 'acceptor.ts'))})
const { realClock } = await import(${JSON.stringify(join(import.meta.dirname, 'clock.ts'))})
const { duplicate, listenOnly } = await import(${JSON.stringify(join(import.meta.dirname, 'libc.ts'))})
const bound = new BoundSocket({ host: '127.0.0.1', port: 0 })
listenOnly(bound.fd(), 256)
globalThis.bound = bound
setInterval(() => undefined, 1000)
const greet = (socket) => {
  socket.on('error', () => undefined)
  socket.on('data', () => undefined)
  socket.on('end', () => socket.end())
  socket.write('220 ')
}
const acceptor = new Acceptor([duplicate(bound.fd())], greet, realClock, (line) => console.log(line))
await acceptor.listening()
console.log('port ' + bound.address().port)
`

test('out of descriptors: callers wait, nobody is dropped, it says so once, and goes on', {
  timeout: 30_000,
}, async (t) => {
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program]
  // The shell lowers hard and soft limit; Node would raise the soft one.
  const child = spawn('/bin/sh', ['-c', 'ulimit -n 64 && exec "$0" "$@"', process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  while (!said.includes('port ')) await once(child.stdout, 'data')
  const port = Number(/port (\d+)/.exec(said)?.[1])

  const greeted = new Set<Socket>()
  let dropped = 0
  const waiting = Array.from({ length: 100 }, () => {
    const socket = connect({ port, host: '127.0.0.1' })
    t.after(() => socket.destroy())
    socket.once('data', () => greeted.add(socket))
    socket.on('error', () => dropped++)
    socket.on('end', () => dropped++)
    return socket
  })
  while (!said.includes('alert')) await once(child.stdout, 'data')
  assert.ok(greeted.size < 64)
  // Those who have been served leave, until all have been.
  while (waiting.some((socket) => !socket.destroyed)) {
    for (const socket of greeted) socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, 20))
    if (dropped > 0) break
  }
  assert.deepEqual([greeted.size, dropped], [100, 0])
  assert.equal(said.split('alert').length - 1, 1)
})
