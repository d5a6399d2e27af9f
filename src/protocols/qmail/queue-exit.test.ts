import assert from 'node:assert/strict'
import { test } from 'node:test'
import { queueExitFailure } from './queue-exit.ts'

function meaning(code: number | undefined, customError = '', writeFailed = false): string {
  const failure = queueExitFailure({ code, customError, writeFailed })
  return failure === undefined ? 'queued' : `${failure.class} ${failure.peerText}`
}

test('codes outside the table follow their range', () => {
  for (let code = 0; code <= 255; code++) {
    const text = meaning(code)
    const permanent = (code >= 11 && code <= 40) || code === 115
    assert.equal(text === 'queued', code === 0)
    assert.equal(text.startsWith('5 '), permanent, `${code}: ${text}`)
  }
})

test('a write that failed spoils only success', () => {
  assert.equal(meaning(0, '', true), '4 qq read error (#4.3.0)')
  assert.equal(meaning(31, '', true), '5 mail server permanently rejected message (#5.3.0)')
  assert.equal(meaning(undefined), '4 qq crashed (#4.3.0)')
})

test('a first byte other than D is temporary', () => {
  assert.equal(meaning(82, 'Dno'), '5 no')
  assert.equal(meaning(82, 'xno'), '4 no')
  assert.equal(meaning(82, 'D1'), '4 qq temporary problem (#4.3.0)')
  assert.equal(meaning(81, 'Dno'), '4 qq internal bug (#4.3.0)')
})
