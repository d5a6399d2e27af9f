/** End-of-data look-alikes, sent to our server: never two messages where a client meant one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedJson, skipWithout } from '../kit/shared.ts'
import { ScriptedSession } from '../kit/smtpd.ts'

interface Case {
  readonly id: string
  readonly repr: string
  readonly bytes_b64: string
  readonly contains_true_eod: boolean
  readonly has_bare_cr_or_lf_or_nul: boolean
}

const cases = sharedJson<{ cases: Case[] }>('suites', 'smtp-smuggling', 'cases.json')?.cases ?? []
const before = 'EHLO client\r\nMAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\nSubject: first\r\n\r\ntext'
const smuggled =
  'MAIL FROM:<smuggled@test>\r\nRCPT TO:<victim@lab.test.example>\r\nDATA\r\nSubject: SMUGGLED\r\n\r\nx\r\n.\r\n'

test('cases are there', { skip: skipWithout('suites', 'smtp-smuggling', 'cases.json') }, () =>
  assert.equal(cases.length, 98),
)

for (const { id, repr, bytes_b64, contains_true_eod, has_bare_cr_or_lf_or_nul } of cases) {
  test(`${id} ${repr}`, async () => {
    const bytes = Buffer.from(bytes_b64, 'base64').toString('latin1')
    for (const cut of [0, 1, bytes.length]) {
      const session = new ScriptedSession()
      const input = before + bytes + smuggled
      const place = before.length + cut
      session.session.receive(Buffer.from(input.slice(0, place), 'latin1'))
      await session.settle()
      if (!session.closed) await session.send(input.slice(place))

      const { taken } = session.enqueuer
      const [first] = taken
      if (first !== undefined) assert.doesNotMatch(first.content, /[\r\0]/)
      if (contains_true_eod && !beforeTrueEnd(bytes)) {
        // The client really ended its message: what follows is its own second one, unless a NUL spoils the command.
        assert.equal(first?.content.includes('SMUGGLED'), false)
        continue
      }
      assert.ok(taken.length <= 1, 'one message at most')
      for (const { envelope } of taken) assert.deepEqual(envelope.recipients, ['joe@lab.test.example'])
      if (!has_bare_cr_or_lf_or_nul) assert.equal(first?.content.includes('SMUGGLED'), true, 'passed on as text')
      else {
        assert.equal(taken.length, 0)
        assert.match(session.output, /\r\n554 5\.6\.0 [^\n]*\r\n$/)
        assert.equal(session.closed, true)
      }
    }
  })
}

/** True if something that is refused comes before the true end. */
function beforeTrueEnd(bytes: string): boolean {
  const end = bytes.indexOf('\r\n.\r\n')
  return /\0|(?<!\r)\n|\r(?!\n)/.test(bytes.slice(0, end + 2))
}
