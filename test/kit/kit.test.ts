/** The kit's two ends against one another: what the client puts on the wire is what the sink records. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Sink } from './sink.ts'
import { deliver, SmtpClient, stuffed } from './smtp-client.ts'

describe('client and sink', () => {
  let sink: Sink
  beforeEach(async () => {
    sink = await Sink.listen()
  })
  afterEach(() => sink.close())

  it('every byte arrives as it was meant', async () => {
    const content = '.dot\r\n..two\r\n\xff\x80 8 bit\r\n.\r\nlast\r\n'
    await deliver(sink.port, { from: 'a@a.test', to: ['b@b.test', 'c@c.test'], content })
    const [transaction] = sink.transactions
    assert.deepEqual(transaction?.to, ['b@b.test', 'c@c.test'])
    assert.equal(transaction.from, 'a@a.test')
    assert.equal(transaction.content.toString('latin1'), content)
  })

  it('a refused message is not recorded, and the client sees the reply', async () => {
    sink.answer = (verb) => (verb === '.' ? '451 4.3.0 later' : undefined)
    const client = await SmtpClient.greeted(sink.port)
    const reply = await client.transaction({ from: '', to: ['b@b.test'], content: 'x' })
    await client.quit()
    assert.deepEqual([reply.code, sink.transactions.length], [451, 0])
  })

  it('waiting for messages that do not come fails', async () => {
    await assert.rejects(sink.count(1, 20), /0 of 1/)
  })
})

describe('dot-stuffing', () => {
  it('ends the last line', () => assert.equal(stuffed('a').toString(), 'a\r\n.\r\n'))
  it('of nothing is only the final dot', () => assert.equal(stuffed('').toString(), '.\r\n'))
})
