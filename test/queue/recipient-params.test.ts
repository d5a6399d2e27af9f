/** What a client said with a recipient stays with it, over a restart. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { QueueProcess } from '../kit/queue-process.ts'

test('parameters of a message and of a recipient are in the queue', async (t) => {
  const queue = new QueueProcess({ me: 'me.example\n', percenthack: 'hack.example\n' })
  t.after(() => queue.dispose())
  await queue.start()
  const address = 'jane%far.example@hack.example'
  const recipientParams = new Map([[address, new Map([['NOTIFY', 'NEVER']])]])
  const envelope = { sender: 'a@b.example', recipients: ['joe@far.example', address], recipientParams }
  const outcome = await queue.enqueue.submit(envelope, new Map([['RET', 'HDRS']]), Buffer.from('Subject: x\n\nhi\n'))
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

interface Row {
  readonly params: object
  readonly recipients: readonly { readonly address: string; readonly params: object }[]
}
