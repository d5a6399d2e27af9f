import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Status } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import type { QueuedMessage, QueuedRecipient } from '../../stores/queue/contract.ts'
import { reportBeginningBytesMax, reportBytesMax } from './limits.ts'
import { bytesOf, recordReport } from './report-record.ts'

const lines = '550 no, and why\n'.repeat(300)
const refused: Status = {
  class: 5,
  subject: 1,
  detail: 1,
  peerText: `192.0.2.1 does not like recipient.\nRemote host said: ${lines}`,
  logText: 'because '.repeat(100),
  answer: { name: 'mx.example', address: '192.0.2.1', code: 550, lines },
}

function recipient(): QueuedRecipient {
  const address = 'a@b.example'
  const routed = { channel: 'remote', address, original: address, prependBytes: 0 } as const
  return { ...routed, params: noParams, state: 'waiting', last: undefined, lastMs: 0 }
}

function liveOf(count: number): { message: QueuedMessage; reportBytes: number } {
  const recipients = Array.from({ length: count }, recipient)
  const facts = { id: 1, bornMs: 0, sender: '', uid: 0, bytes: 0, inFile: false, params: noParams, held: false }
  return { message: { ...facts, due: { local: undefined, remote: 0 }, recipients }, reportBytes: 0 }
}

test('beyond the bound of a message each status keeps its code, its host, and the beginning of what was said', () => {
  const live = liveOf(1000)
  const { recipients } = live.message
  for (const position of recipients.keys()) recordReport(live, position, refused, 7)
  const kept = recipients.reduce((sum, { last }) => sum + bytesOf(last) + (last?.answer?.lines.length ?? 0), 0)
  assert.ok(kept <= 2 * reportBytesMax + 1000 * 4 * reportBeginningBytesMax, `${kept} bytes`)
  assert.deepEqual(recipients[0]?.last, refused)
  const { last, state, lastMs } = recipients[999] ?? assert.fail()
  assert.deepEqual([state, lastMs], ['failed', 7])
  assert.ok(last?.peerText.endsWith('\n(The rest of this report is left out.)\n'))
  assert.deepEqual(
    { ...last?.answer, class: last?.class, subject: last?.subject, detail: last?.detail },
    { ...refused.answer, lines: lines.slice(0, reportBeginningBytesMax), class: 5, subject: 1, detail: 1 },
  )
})

test('a recipient that is tried again gives back what its last report took', () => {
  const live = liveOf(1)
  for (let attempt = 0; attempt < 100; attempt++) recordReport(live, 0, { ...refused, class: 4 }, attempt)
  assert.deepEqual([live.reportBytes, live.message.recipients[0]?.state], [bytesOf(refused), 'waiting'])
})
