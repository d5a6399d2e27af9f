/** qmail-pop3d as measured from a stock build: what a session says to whole scripts, and what is left in the Maildir. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { pop3Rig } from '#test/kit/pop3-rig.ts'
import { sharedJson, skipWithout } from '#test/kit/shared.ts'

interface Pop3Vector {
  readonly maildir: Readonly<Record<string, string>>
  readonly stdin: string
  readonly stdout: string
  readonly after: readonly string[]
}

const vectors = sharedJson<{ readonly pop3d: readonly Pop3Vector[] }>('vectors', 'qmail-core.json')

describe('qmail-pop3d vectors', { skip: skipWithout('vectors', 'qmail-core.json') }, () => {
  for (const [index, vector] of (vectors?.pop3d ?? []).entries()) {
    it(`${index}: ${vector.stdin.replaceAll('\r\n', ' / ')}`, async (test) => {
      const rig = await pop3Rig(test, vector.maildir)
      const client = await rig.open()
      client.raw(vector.stdin)
      assert.equal(await client.rest(), vector.stdout)
      assert.deepEqual(await rig.listing(), vector.after)
    })
  }
})
