/** What a stock qmail-inject said about every exit code of qmail-queue. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { queueExitFailure } from '../../src/protocols/qmail/queue-exit.ts'
import { sharedJson, skipWithout } from '../kit/shared.ts'

interface Case {
  readonly qq_exit: number
  readonly fd6?: string
  readonly inject_rc: number
  readonly stderr: string
}

test('exit codes of qmail-queue', { skip: skipWithout('vectors', 'qmail-core.json') }, () => {
  const vectors = sharedJson<{ qmail_queue_exit_map: Case[] }>('vectors', 'qmail-core.json')
  const cases = vectors?.qmail_queue_exit_map ?? []
  assert.ok(cases.length > 50)
  for (const { qq_exit: code, fd6: customError = '', inject_rc, stderr } of cases) {
    const failure = queueExitFailure({ code, customError, writeFailed: false })
    assert.equal(failure === undefined ? 0 : failure.class === 5 ? 100 : 111, inject_rc, `code ${code}`)
    assert.equal(failure === undefined ? '' : `qmail-inject: fatal: ${failure.peerText}\n`, stderr, `code ${code}`)
  }
})
