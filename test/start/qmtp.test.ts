/** QMTP and QMQP as processes: where their listen files say so, for whoever may relay. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { netstring } from '../../src/protocols/netstring/package-reader.ts'
import { askAdmin, demoAddress, Instance } from '../kit/instance.ts'

describe('QMTP and QMQP', () => {
  let instance: Instance
  const ports = new Map<string, number>()
  before(async () => {
    const files = {
      'control/listen-qmtp': '127.0.0.1:0\n',
      'control/listen-qmqp': '127.0.0.1:0\n',
      'control/tcprules/qmqp': '127.0.0.1:allow\n127.0.0.2:allow,RELAYCLIENT=""\n:deny\n',
    }
    instance = await Instance.start({ files, services: ['smtp', 'local', 'remote', 'qmtp', 'qmqp'] })
    const [summary] = await askAdmin(join(instance.home, 'run/start.sock'), { op: 'status' })
    const { listening } = summary as { readonly listening: Readonly<Record<string, string[]>> }
    for (const name of ['qmtp', 'qmqp']) ports.set(name, Number(listening[name]?.[0]?.split(':').at(-1)))
  })
  after(() => instance.end())

  async function say(service: string, text: string, from = '127.0.0.1'): Promise<string> {
    const socket = connect({ port: ports.get(service) ?? 0, host: '127.0.0.1', localAddress: from })
    socket.on('error', () => undefined)
    socket.write(Buffer.from(text, 'latin1'))
    let heard = ''
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.toString('latin1')
      socket.end()
    })
    // Who is denied is reset.
    await new Promise((resolve) => socket.once('close', resolve))
    return heard
  }

  it('QMTP takes a message from loopback, which may relay', async () => {
    const forged = 'Authentication-Results: quaver.test; dkim=pass'
    const text =
      netstring(`\rX-Case: qmtp\r\n${forged}\r\n\r\nhi\r\n`) +
      netstring('me@x.test') +
      netstring(netstring(demoAddress))
    assert.match(await say('qmtp', text), /^\d+:Kok \d+ qp \d+,$/)
    const content = await instance.message((one) => one.includes('X-Case: qmtp'), 'qmtp')
    assert.match(content.toString('latin1'), /^Received: from \S+ \(127\.0\.0\.1\)\n {2}by \S+ with QMTP; /m)
    assert.match(content.toString('latin1'), /invoked from network\)|invoked by uid/)
    assert.ok(!content.includes('Authentication-Results'))
  })

  it('QMQP goes by its rules: allowed is not enough, RELAYCLIENT is', async () => {
    const text = netstring([netstring('X-Case: qmqp\n\nhi\n'), netstring(''), netstring(demoAddress)].join(''))
    assert.equal(await say('qmqp', text), '')
    assert.match(await say('qmqp', text, '127.0.0.2'), /^\d+:Kok /)
    await instance.message((one) => one.includes('X-Case: qmqp'), 'qmqp')
    assert.match(await instance.log(), / qmqpd: deny \d+ /)
  })

  it('what is no netstring is told to nobody, and logged', async () => {
    assert.equal(await say('qmtp', 'GET / HTTP/1.0\r\n\r\n'), '')
    await instance.logged(/ qmtpd: qmtp 127\.0\.0\.1 no netstring: a length that is no number/)
  })
})
