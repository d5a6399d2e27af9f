import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Failure } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import { formatReply, refusal } from '../../protocols/smtp/replies.ts'
import { ContentFiles } from '../../stores/queue/content-files.ts'
import { type QueueStore, StoreError } from '../../stores/queue/contract.ts'
import { MessageIds } from '../../stores/queue/ids.ts'
import { realClock } from '../../system/clock.ts'
import { type Files, realFiles } from '../../system/files.ts'
import { Acceptance } from './acceptance.ts'
import { DeliveryLog } from './delivery-log.ts'
import { QueueClock } from './queue-clock.ts'

const envelope = { sender: 'a@b', recipients: ['c@d'] }
const origin = { invoked: 'from network', uid: 1 } as const
const none = (): never => {
  throw new Error('not asked here')
}

function acceptanceWith(storeFails: Error, writeFails: Error): Acceptance {
  const store: QueueStore = {
    commit: () => Promise.reject(storeFails),
    due: none,
    nextDue: none,
    load: none,
    list: none,
    content: none,
    counts: none,
    clock: none,
    close: none,
  }
  const files: Files = {
    ...realFiles,
    create: () =>
      Promise.resolve({ write: () => Promise.reject(writeFails), sync: none, close: () => Promise.resolve() }),
    remove: () => Promise.resolve(),
  }
  const clock = new QueueClock(realClock, undefined)
  const tables = {
    locals: new Set<string>(),
    virtualdomains: new Map<string, string>(),
    percenthack: new Set<string>(),
    envnoathost: 'x',
  }
  return new Acceptance(
    {
      store,
      files: new ContentFiles('/nowhere', files),
      ids: new MessageIds(clock, 0),
      clock,
      log: new DeliveryLog(() => undefined),
      signing: undefined,
      tables: () => tables,
      onAccepted: none,
      onStoreTrouble: () => undefined,
    },
    0,
  )
}

async function failures(storeFails: Error, writeFails: Error): Promise<Failure[]> {
  const acceptance = acceptanceWith(storeFails, writeFails)
  const stream = acceptance.open(envelope, noParams, origin)
  await stream.write(Buffer.from('x\n'))
  const content = { head: '', body: [Buffer.from('x\n')] }
  const outcomes = [await acceptance.accept(envelope, noParams, content, origin), await stream.close('', noParams)]
  return outcomes.map((outcome) => {
    assert.ok(!outcome.done)
    return outcome.failure
  })
}

test('a full disk is 452 and 4.3.1, wherever it shows; another trouble is 451 and 4.3.0', async () => {
  for (const code of ['ENOSPC', 'EDQUOT']) {
    const noSpace = Object.assign(new Error('no space'), { code })
    for (const failure of await failures(new StoreError('full', 'database or disk is full'), noSpace))
      assert.equal(formatReply(refusal(failure), true), '452 4.3.1 qq write error or disk full (#4.3.1)\r\n')
  }
  for (const failure of await failures(new StoreError('other', 'x'), new Error('x')))
    assert.equal(formatReply(refusal(failure), true), '451 4.3.0 qq write error or disk full (#4.3.0)\r\n')
})
