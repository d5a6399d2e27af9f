import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { FakeEnqueuer } from '#test/kit/smtpd.ts'
import { noParams } from '../../contracts/envelope.ts'
import { OwnResultsEnqueuer } from './own-results-enqueuer.ts'
import { handOn } from './enqueuer.ts'

const envelope = { sender: 'a@b', recipients: ['c@d'] }

async function passed(pieces: readonly string[]): Promise<{ content: string | undefined; removed: number }> {
  const next = new FakeEnqueuer()
  let removed = 0
  const enqueuer = new OwnResultsEnqueuer(
    (id) => id === 'us.test',
    (count) => (removed += count),
    next,
  )
  const outcome = await handOn(
    enqueuer.open(envelope, noParams),
    'Received: x\n',
    pieces.map((piece) => Buffer.from(piece, 'latin1')),
  )
  return { content: outcome.done ? next.taken[0]?.content : undefined, removed }
}

describe('Authentication-Results in our name', () => {
  const forged = 'Authentication-Results: us.test;\n dkim=pass\n'
  it('36: are taken out of the header, wherever it is cut, and body text stays', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat(200), { maxLength: 8 }), fc.boolean(), async (cuts, isForged) => {
        const rest = `To: b\n\nAuthentication-Results: us.test; in the body\n\n\xff\n`
        const text = `From: a\n${isForged ? forged : ''}${rest}`
        const at = [0, ...cuts.map((cut) => cut % text.length), text.length].toSorted((one, other) => one - other)
        const pieces = at.slice(1).map((end, index) => text.slice(at[index], end))
        const { content, removed } = await passed(pieces.filter((piece) => piece !== ''))
        assert.equal(content, `Received: x\nFrom: a\n${rest}`)
        assert.equal(removed, isForged ? 1 : 0)
      }),
      { numRuns: 100 },
    ))

  it('are taken out of a message that is nothing but a header, and nothing else of it is touched', async () => {
    assert.equal((await passed([`From: a\n${forged}To: b`])).content, 'Received: x\nFrom: a\nTo: b\n')
    assert.equal((await passed(['From: a\nTo: b'])).content, 'Received: x\nFrom: a\nTo: b')
    assert.equal((await passed([])).content, 'Received: x\n')
    assert.equal((await passed([forged, '\n'])).content, 'Received: x\n\n')
  })

  it('are not looked for in a header without end', async () => {
    assert.equal((await passed(Array.from({ length: 20 }, () => 'x'.repeat(100_000)))).content, undefined)
  })
})
