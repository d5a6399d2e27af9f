/** A bounce that is due to an SRS address of ours, with and without the means to tell whose it is. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { noParams } from '../../src/contracts/envelope.ts'
import { QueueProcess } from '../kit/queue-process.ts'

/** None of any secret's. */
const forged = 'SRS0=AAAA=AA=far.example=joe@srs.me.example'

async function failing(t: TestContext, secrets: string | undefined): Promise<QueueProcess> {
  const queue = new QueueProcess({ me: 'me.example\n', srs_domain: 'srs.me.example\n' })
  t.after(() => queue.dispose())
  if (secrets !== undefined) writeFileSync(join(queue.home.control, 'srs_secrets'), secrets, { mode: 0o600 })
  await queue.start()
  await queue.remote((attempt) => attempt.recipients.map(() => ({ letter: 'D', text: 'no\n' })))
  const envelope = { sender: forged, recipients: ['r@x.example'] }
  assert.ok((await queue.submit(envelope, noParams, Buffer.from('Subject: x\n\nhi\n'))).done)
  return queue
}

describe('a bounce to an SRS address', () => {
  it('waits while there is no secret', async (t) => {
    const queue = await failing(t, undefined)
    await queue.logged(/trouble injecting bounce message, will try later: .*no secret in control\/srs_secrets/)
    assert.doesNotMatch(queue.log, /bounce msg/)
  })

  it('ends as a double bounce where the address is not good', async (t) => {
    const queue = await failing(t, 'a secret\n')
    await queue.logged(/info msg \d+: bytes \d+ from <#@\[\]>/)
  })
})
