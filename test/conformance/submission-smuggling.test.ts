/** End-of-data look-alikes, sent by somebody who has logged in: never two messages where a client meant one. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sharedJson, skipWithout } from '../kit/shared.ts'
import { SubmissionRig } from '../kit/submission.ts'

interface Case {
  readonly id: string
  readonly repr: string
  readonly bytes_b64: string
  readonly contains_true_eod: boolean
  readonly has_bare_cr_or_lf_or_nul: boolean
}

const cases = sharedJson<{ cases: Case[] }>('suites', 'smtp-smuggling', 'cases.json')?.cases ?? []
const beginning =
  'EHLO client\r\nMAIL FROM:<anna@lab.example>\r\nRCPT TO:<joe@far.example>\r\nDATA\r\nSubject: first\r\n\r\ntext'
const smuggled =
  'MAIL FROM:<bob@lab.example>\r\nRCPT TO:<victim@far.example>\r\nDATA\r\nSubject: SMUGGLED\r\n\r\nx\r\n.\r\n'

const rig = new SubmissionRig()
before(() => rig.start())
after(() => rig.stop())

test('cases are there', { skip: skipWithout('suites', 'smtp-smuggling', 'cases.json') }, () =>
  assert.equal(cases.length, 98),
)

for (const { id, repr, bytes_b64, contains_true_eod, has_bare_cr_or_lf_or_nul } of cases) {
  test(`${id} ${repr}`, async () => {
    const bytes = Buffer.from(bytes_b64, 'base64').toString('latin1')
    for (const cut of [0, 1, bytes.length]) {
      rig.enqueuer.taken.length = 0
      const client = await rig.login()
      const session = rig.lastSession
      const input = beginning + bytes + smuggled
      const place = beginning.length + cut
      client.socket.write(input.slice(0, place), 'latin1')
      await client.replies(4)
      client.socket.end(input.slice(place), 'latin1')
      await client.untilClosed()
      await session?.ended

      const { taken } = rig.enqueuer
      const [first] = taken
      for (const { envelope, content } of taken) {
        assert.equal(envelope.sender, 'anna@lab.example')
        assert.doesNotMatch(content, /[\r\0]/)
      }
      assert.ok(taken.length <= 1, 'one message at most: the second is in another’s name')
      if (contains_true_eod && !beforeTrueEnd(bytes)) {
        assert.equal(first?.content.includes('SMUGGLED'), false)
        continue
      }
      for (const { envelope } of taken) assert.deepEqual(envelope.recipients, ['joe@far.example'])
      if (has_bare_cr_or_lf_or_nul) assert.match(client.output, /\r\n554 5\.6\.0 [^\n]*\r\n$/)
      // Without a true end there is no message: the client has gone.
      assert.equal(first?.content.includes('SMUGGLED') ?? false, first !== undefined)
    }
  })
}

/** True if something that is refused comes before the true end. */
function beforeTrueEnd(bytes: string): boolean {
  const end = bytes.indexOf('\r\n.\r\n')
  return /\0|(?<!\r)\n|\r(?!\n)/.test(bytes.slice(0, end + 2))
}
