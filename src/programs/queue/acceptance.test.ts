import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Failure } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import { formatReply, refusal } from '../../protocols/smtp/replies.ts'
import { type NewBody, StoreError } from '../../stores/queue/contract.ts'
import { MemoryEngine } from '../../stores/queue/memory-engine.ts'
import { realClock } from '../../system/clock.ts'
import { Acceptance } from './acceptance.ts'
import { DeliveryLog } from './delivery-log.ts'
import { QueueClock } from './queue-clock.ts'
import { SenderRewriting } from './sender-rewriting.ts'

const envelope = { sender: 'a@b', recipients: ['c@d'] }
const origin = { invoked: 'from network', uid: 1 } as const
const none = (): never => {
  throw new Error('not asked here')
}

/** Neither a row nor a body finds room. */
class FailingStore extends MemoryEngine {
  private readonly trouble: Error

  constructor(trouble: Error) {
    super()
    this.trouble = trouble
  }

  override commit(): Promise<void> {
    return Promise.reject(this.trouble)
  }

  override async newBody(id: number): Promise<NewBody> {
    return { ...(await super.newBody(id)), write: () => Promise.reject(this.trouble) }
  }
}

function acceptanceWith(trouble: Error): Acceptance {
  const clock = new QueueClock(realClock, undefined)
  const tables = {
    locals: new Set<string>(),
    virtualdomains: new Map<string, string>(),
    percenthack: new Set<string>(),
    envnoathost: 'x',
  }
  return new Acceptance(
    {
      store: new FailingStore(trouble),
      clock,
      log: new DeliveryLog(() => undefined),
      signing: undefined,
      rewriting: new SenderRewriting({ setting: () => undefined, tables: () => tables, now: none }),
      tables: () => tables,
      onAccepted: none,
      onStoreTrouble: () => undefined,
    },
    0,
  )
}

async function failures(trouble: Error): Promise<Failure[]> {
  const acceptance = acceptanceWith(trouble)
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
  for (const failure of await failures(new StoreError('full', 'database or disk is full')))
    assert.equal(formatReply(refusal(failure), true), '452 4.3.1 qq write error or disk full (#4.3.1)\r\n')
  for (const failure of await failures(new StoreError('other', 'x')))
    assert.equal(formatReply(refusal(failure), true), '451 4.3.0 qq write error or disk full (#4.3.0)\r\n')
})
