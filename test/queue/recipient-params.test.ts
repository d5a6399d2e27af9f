/** What a client said with a recipient, and what became of it, stays with it over a restart and a change of the tables. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { noParams } from '../../src/contracts/envelope.ts'
import { QueueProcess } from '../kit/queue-process.ts'
import { statusOf } from '../kit/status.ts'

test('parameters of a message and of a recipient are in the queue', async (t) => {
  const queue = new QueueProcess({ me: 'me.example\n', percenthack: 'hack.example\n' })
  t.after(() => queue.dispose())
  await queue.start()
  const address = 'jane%far.example@hack.example'
  const recipientParams = new Map([[address, new Map([['NOTIFY', 'NEVER']])]])
  const envelope = { sender: 'a@b.example', recipients: ['joe@far.example', address], recipientParams }
  const outcome = await queue.submit(envelope, new Map([['RET', 'HDRS']]), Buffer.from('Subject: x\n\nhi\n'))
  assert.equal(outcome.done, true)
  const expected = [
    { params: { RET: 'HDRS' } },
    { address: 'joe@far.example', params: {} },
    { address: 'jane@far.example', params: { NOTIFY: 'NEVER' } },
  ]
  const seen = async (): Promise<unknown> => {
    const [row] = (await queue.ask({ op: 'list' })) as unknown as Row[]
    return [
      { params: row?.params },
      ...(row?.recipients.map(({ address: to, params }) => ({ address: to, params })) ?? []),
    ]
  }
  assert.deepEqual(await seen(), expected)
  await queue.kill('SIGKILL')
  await queue.start()
  assert.deepEqual(await seen(), expected)
})

test('the status of an attempt is kept: its code, the other host, and what that said', async (t) => {
  const queue = new QueueProcess({ me: 'me.example\n' })
  t.after(() => queue.dispose())
  await queue.start()
  const answer = { name: 'mx.far.example', address: '192.0.2.1', code: 450, lines: '450 4.2.1 \xe9 later\n' }
  const later = { ...statusOf({ letter: 'Z', text: 'words\n' }), subject: 2, detail: 1, logText: 'more', answer }
  await queue.remote((attempt) => attempt.recipients.map(() => later))
  const envelope = { sender: 's@me.example', recipients: ['r@far.example'] }
  assert.equal((await queue.submit(envelope, noParams, Buffer.from('Subject: x\n\nhi\n'))).done, true)
  await queue.logged(/deferral: words\/\n[^]*remote 0\/200/)
  const seen = async (): Promise<unknown> => {
    const [row] = (await queue.ask({ op: 'list' })) as unknown as { recipients: Record<string, unknown>[] }[]
    const { lastStatus, lastText, lastDetail, lastAnswer } = row?.recipients[0] ?? {}
    return { lastStatus, lastText, lastDetail, lastAnswer }
  }
  const expected = { lastStatus: '4.2.1', lastText: 'words\n', lastDetail: 'more', lastAnswer: answer }
  assert.deepEqual(await seen(), expected)
  await queue.kill('SIGKILL')
  await queue.start()
  assert.deepEqual(await seen(), expected)
})

test('a bounce shows the recipient by the virtual domains of its acceptance', async (t) => {
  const queue = new QueueProcess({ me: 'me.example\n', virtualdomains: 'virt.example:joe\n' })
  t.after(() => queue.dispose())
  await queue.start()
  const originals = new Map([['x@virt.example', 'X@[192.0.2.9]']])
  const envelope = { sender: 's@me.example', recipients: ['x@virt.example'], originals }
  assert.equal((await queue.submit(envelope, noParams, Buffer.from('Subject: x\n\nhi\n'))).done, true)
  const [row] = (await queue.ask({ op: 'list' })) as unknown as { recipients: Record<string, unknown>[] }[]
  const { address, original } = row?.recipients[0] ?? {}
  assert.deepEqual([address, original], ['joe-x@virt.example', 'X@[192.0.2.9]'])
  await queue.kill('SIGKILL')
  writeFileSync(join(queue.home.control, 'virtualdomains'), '')
  await queue.start()
  const bounce = new Promise<string>((resolve) => {
    void queue.local((attempt) => {
      if (attempt.sender === '') resolve(attempt.content?.toString('latin1') ?? '')
      return { letter: attempt.sender === '' ? 'K' : 'D', text: 'no\n' }
    })
  })
  assert.match(await bounce, /\n<x@virt\.example>:\nno\n/)
})

interface Row {
  readonly params: object
  readonly recipients: readonly { readonly address: string; readonly params: object }[]
}
