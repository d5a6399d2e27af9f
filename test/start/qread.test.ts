/** The queue, shown to whoever connects where control/listen-qread says: the process of nbqmail/qread. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { askAll } from '../../src/clients/admin/ask.ts'
import { syslogTag } from '../../src/system/log-form.ts'
import { realClock } from '../../src/system/clock.ts'
import { askAdmin, demoAddress, Instance, until } from '../kit/instance.ts'

const recipientsMax = 10_000

async function hear(port: number, says = ''): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.end(says)
  let heard = ''
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')))
  await once(socket, 'close')
  return heard
}

describe('qread', () => {
  let instance: Instance
  let port = 0
  before(async () => {
    // Nobody answers there: what is remote waits.
    const files = { 'control/listen-qread': '127.0.0.1:0\n', 'control/dnsservers': '127.0.0.1:1\n' }
    instance = await Instance.start({ files, services: ['smtp', 'local', 'remote', 'qread'] })
    const [summary] = await askAdmin(join(instance.home, 'run/start.sock'), { op: 'status' })
    const [address = ''] =
      (summary as { readonly listening: Readonly<Record<string, string[]>> }).listening['qread'] ?? []
    port = Number(address.split(':').at(-1))
  })
  after(() => instance.end())

  const inject = async (sender: string, recipients: readonly string[]): Promise<void> => {
    const child = spawn(join(instance.home, 'bin/qmail-queue'), { stdio: ['pipe', 'overlapped', 'inherit'] })
    child.stdin?.end('Subject: x\n\nhi\n')
    const envelope = child.stdio[1]
    assert.ok(envelope instanceof Duplex)
    envelope.end(`F${sender}\0${recipients.map((recipient) => `T${recipient}\0`).join('')}\0`)
    assert.deepEqual(await once(child, 'exit'), [0, null])
  }

  it('shows messages and recipients, and logs under its tag like tcpserver', async () => {
    assert.equal(await hear(port), '')
    await inject('me@x.test', [demoAddress, 'jane@y.test'])
    const whole =
      /^\d+ \w{3} \d{4} [\d:]{8} GMT {2}#\d+ {2}\d+ {2}<me@x\.test> \n {2}done\tlocal\tquaver\.test-demo@quaver\.test\n\tremote\tjane@y\.test\n$/
    await until('the local recipient to be done', 20_000, async () => whole.test(await hear(port)) || undefined)
    // What a client says is nothing to it.
    assert.match(await hear(port, 'GET / HTTP/1.0\r\n\r\n'), whole)
    const log = await instance.log()
    assert.match(log, / qread: ok 1 quaver\.test:127\.0\.0\.1:\d+ :127\.0\.0\.1::\d+\n/)
    assert.match(log, / qread: end 1 status 0\n\S+ qread: status: 0\/40\n/)
    assert.equal(syslogTag('qread'), 'nbqmail/qread')
  })

  it('a message with as many recipients as there may be is shown whole, also by the command line', async () => {
    const recipients = Array.from({ length: recipientsMax }, (_, n) => `${'r'.repeat(100)}${n}@some.long.name.test`)
    await inject('many@x.test', recipients)
    const shown = await until('all of them', 30_000, async () => {
      const heard = await hear(port)
      return heard.includes('<many@x.test>') ? heard : undefined
    })
    assert.equal(shown.split('\n').filter((line) => line.startsWith('\tremote\trrr')).length, recipientsMax)
    const listed = await instance.quaver('queue', 'list', '--json')
    assert.equal(listed.code, 0, listed.stderr)
    const messages = JSON.parse(listed.stdout) as { readonly recipients: readonly unknown[] }[]
    assert.equal(messages.at(-1)?.recipients.length, recipientsMax)
  })

  it('goes on when a client resets its connection, before the listing or behind it', async () => {
    for (let n = 0; n < 20; n++) {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket.on('error', () => undefined)
      if (n % 2 === 0) await once(socket, 'connect')
      else await once(socket.resume(), 'end')
      socket.resetAndDestroy()
    }
    assert.match(await hear(port), /GMT/)
    const qread = (await instance.status()).find(({ program }) => program === 'qread')
    assert.deepEqual([qread?.state, qread?.restarts], ['running', 0])
  })

  it('may see the queue, and change nothing', async () => {
    const path = join(instance.home, 'run/queue-read.sock')
    await assert.rejects(askAll(path, { op: 'retry', all: true }, realClock), /only list is answered here/)
  })
})
