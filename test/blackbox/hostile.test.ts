/** Input made to exhaust or confuse, through real processes: each gets a clear reply, memory stays bounded, and a session that was
 *  open all the while is served as if nothing had been. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { demoAddress, Instance } from '../kit/instance.ts'
import { residentBytes } from '../kit/processes.ts'
import { SmtpClient } from '../kit/smtp-client.ts'
import { BareClient } from '../kit/smtpd-server.ts'

const megabyte = 1024 * 1024
/** Generous: a collector that has not run is no leak. */
const growthBytesMax: number = 160 * megabyte
const replyMillisecondsMax = 30_000

describe('hostile input', () => {
  let instance: Instance
  let bystander: SmtpClient
  let smtpd = 0
  let residentBefore = 0
  before(async () => {
    instance = await Instance.start()
    bystander = await SmtpClient.greeted(instance.smtpPort)
    await bystander.command('MAIL FROM:<bystander@b.test>', 250)
    smtpd = await instance.pidOf('smtpd')
    residentBefore = residentBytes(smtpd)
  })
  after(() => instance.end())

  /** Of the same process: one that died and came again would look small. */
  const assertBounded = async (): Promise<void> => {
    assert.equal(await instance.pidOf('smtpd'), smtpd)
    const grown = residentBytes(smtpd) - residentBefore
    assert.ok(grown < growthBytesMax, `smtpd has grown by ${Math.round(grown / megabyte)} MB`)
  }

  /** Greeted, and the commands answered. */
  const session = async (...commands: readonly string[]): Promise<BareClient> => {
    const client = BareClient.to(instance.smtpPort)
    await client.until(/^220 .*\r\n/, replyMillisecondsMax)
    for (const command of commands) {
      client.say(`${command}\r\n`)
      await client.until(/^[23].*\r\n$/s, replyMillisecondsMax)
    }
    return client
  }

  /** The same bytes again and again, up to so many, then the end; or until the server has heard enough. */
  const pour = async (
    commands: readonly string[],
    chunk: Buffer,
    bytesMax: number,
  ): Promise<{ heard: string; sent: number }> => {
    const client = await session(...commands)
    let sent = 0
    while (sent < bytesMax && !client.closed && client.heard === '') {
      sent += chunk.length
      await client.pour(chunk)
    }
    client.say('\r\n.\r\nQUIT\r\n')
    return { heard: await client.untilClosed(replyMillisecondsMax), sent }
  }

  const toData = ['HELO x', 'MAIL FROM:<a@b.test>', `RCPT TO:<${demoAddress}>`, 'DATA']

  it('a command line of 1 GB: 500 and closed, long before its end', async () => {
    const { heard, sent } = await pour([], Buffer.alloc(megabyte, 'x'), 1024 * megabyte)
    assert.match(heard, /^500 [^\r\n]*\r\n$/)
    assert.ok(sent < 256 * megabyte, `${sent / megabyte} MB`)
    await assertBounded()
  })

  it('a line of 1 GB in a message: read to its end, refused, and nothing is kept', async () => {
    const { heard, sent } = await pour(toData, Buffer.alloc(megabyte, 'x'), 1024 * megabyte)
    assert.match(heard, /^552 [^\r\n]*\r\n221 [^\r\n]*\r\n$/)
    assert.equal(sent, 1024 * megabyte)
    await assertBounded()
  })

  it('50 MB of header: refused', async () => {
    const { heard } = await pour(toData, Buffer.from('X-Header: and so on\r\n'.repeat(50_000)), 50 * megabyte)
    assert.match(heard, /^5\d\d [^\r\n]*header[^\r\n]*\r\n221 [^\r\n]*\r\n$/)
    await assertBounded()
  })

  it('100,000 RCPTs: 1,000 are taken, each of the others gets 452', async () => {
    const lines = Buffer.from(`RCPT TO:<${demoAddress}>\r\n`.repeat(1000))
    const client = await session('HELO x', 'MAIL FROM:<a@b.test>')
    for (let n = 0; n < 100; n++) client.say(lines)
    client.say('QUIT\r\n')
    const replies = (await client.untilClosed(60_000)).trimEnd().split('\r\n')
    const codes = replies.map((reply) => reply.slice(0, 4))
    assert.deepEqual(
      [...new Set(codes.slice(0, 1000)), ...new Set(codes.slice(1000, -1)), codes.at(-1)],
      ['250 ', '452 ', '221 '],
    )
    assert.equal(codes.length, 100_001)
    await assertBounded()
  })

  it('1,000 slow clients, a byte each: others are served meanwhile', async () => {
    const sockets = Array.from({ length: 1000 }, () => connect({ port: instance.smtpPort, host: '127.0.0.1' }))
    try {
      const slow = sockets.map(async (socket, n) => {
        socket.on('error', () => undefined)
        await new Promise((resolve) => socket.once('data', resolve))
        socket.write(n % 2 === 0 ? 'E' : 'DATA')
      })
      await Promise.all(slow)
      const content = 'Subject: among slow clients\r\n\r\nx\r\n'
      const other = await SmtpClient.greeted(instance.smtpPort)
      await other.send({ from: 'a@b.test', to: [demoAddress], content })
      await instance.message((text) => text.includes('among slow clients'), 'the message')
      await assertBounded()
    } finally {
      for (const socket of sockets) socket.destroy()
    }
  })

  it('a dialogue split at every boundary, and byte by byte, is the same dialogue', async () => {
    const dialogue = `EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<${demoAddress}>\r\nDATA\r\nSubject: cut\r\n\r\n..x\r\n.\r\nQUIT\r\n`
    const expected = ['220', '250', '250', '250', '250', '250', '250', '354', '250', '221']
    const codesOf = (heard: string): string[] =>
      heard
        .trimEnd()
        .split('\r\n')
        .map((line) => line.slice(0, 3))
    const cuts = Array.from({ length: dialogue.length - 1 }, (_, at) => [
      dialogue.slice(0, at + 1),
      dialogue.slice(at + 1),
    ])
    const run = async (parts: readonly string[]): Promise<string[]> => {
      const client = BareClient.to(instance.smtpPort)
      await client.until(/^220 /, replyMillisecondsMax)
      for (const part of parts) {
        client.say(part)
        await pause(2)
      }
      return ['220', ...codesOf(await client.untilClosed(replyMillisecondsMax))]
    }
    const whole = await run([dialogue])
    assert.deepEqual(whole.slice(-4), expected.slice(-4))
    while (cuts.length > 0) {
      const some = cuts.splice(0, 20)
      for (const codes of await Promise.all(some.map(run))) assert.deepEqual(codes, whole)
    }
    assert.deepEqual(await run(dialogue.split('')), whole)
  })

  it('the session that was open all the while goes on', async () => {
    await bystander.command(`RCPT TO:<${demoAddress}>`, 250)
    await bystander.command('DATA', 354)
    await bystander.raw('Subject: bystander\r\n\r\nx\r\n.\r\n')
    await bystander.expect(250)
    await instance.message((text) => text.includes('Subject: bystander'), 'the message')
  })
})
