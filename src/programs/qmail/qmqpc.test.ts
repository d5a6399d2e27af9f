import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { gather } from '../../system/input-spool.ts'
import { deliver } from './qmqpc.ts'

const envelope = { sender: 'me@x', recipients: ['a@y', 'b@z'] }
const request = '35:6:hello\n,4:me@x,3:a@y,3:b@z,,'.replace('35', String('6:hello\n,4:me@x,3:a@y,3:b@z,'.length))

async function serving(t: TestContext, answer: string | undefined): Promise<{ port: number; heard: () => string }> {
  let heard = ''
  const server: Server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.toString('latin1')
      if (answer === undefined) socket.destroy()
      else if (heard.endsWith(',,')) socket.end(answer)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  return { port: typeof address === 'object' && address !== null ? address.port : 0, heard: () => heard }
}

describe('qmail-qmqpc', () => {
  const content = () => gather([Buffer.from('hel'), Buffer.from('lo\n')])

  it('says the message by QMQP, and exits as the answer says', async (t) => {
    const answers: readonly (readonly [string | undefined, number])[] = [
      ['5:Kok 1,', 0],
      ['3:Zno,', 71],
      ['3:Dno,', 31],
      ['3:Xno,', 74],
      ['3:Kno;', 74],
      ['Kok', 74],
      ['9:Kcut', 74],
      ['', 74],
      [undefined, 74],
    ]
    for (const [answer, code] of answers) {
      const { port, heard } = await serving(t, answer)
      assert.equal(await deliver(['127.0.0.1'], envelope, await content(), port), code, answer ?? 'none')
      if (answer !== undefined) assert.equal(heard(), request)
    }
  })

  it('asks the next host only while none was reached', async (t) => {
    const { port, heard } = await serving(t, '3:Kok,')
    assert.equal(await deliver(['127.0.0.9', '127.0.0.1', '127.0.0.1'], envelope, await content(), port), 0)
    assert.equal(heard(), request)
    assert.equal(await deliver(['127.0.0.9'], envelope, await content(), port), 73)
    assert.equal(await deliver([], envelope, await content(), port), 55)
  })
})
