import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainFailure, type Status } from '../../base/outcome.ts'
import { delivered } from './delivery-status.ts'
import { remoteOutput, remoteOutputStatus } from './remote-output.ts'

const says = ({ class: statusClass, peerText }: Status): string => `${statusClass} ${peerText}`
const failure = (statusClass: 4 | 5, text: string): Status => plainFailure(statusClass, '0.0', text, '')

test('what a program could not say defers, but for its own word', () => {
  for (const [code, expected] of [
    [undefined, '4 qmail-remote crashed.\n'],
    [0, '4 qmail-remote produced no output.\n'],
    [111, '4 Unable to run qmail-remote.\n'],
    [126, '4 Unable to run qmail-remote.\n'],
    [127, '4 Unable to run qmail-remote.\n'],
    [255, '4 Unable to run qmail-remote.\n'],
    [100, '5 Unable to run qmail-remote.\n'],
  ] as const)
    assert.equal(says(remoteOutputStatus('', code)), expected)
})

test('what one says of a recipient, the other reads', () => {
  const kind = delivered('ok\n')
  assert.equal(remoteOutput([kind], kind), 'r\0Kok\n\0')
  for (const [recipient, end, expected] of [
    [kind, kind, '2 ok\n'],
    [failure(4, 'later\n'), failure(5, 'end\n'), '4 later\nend\n'],
    [failure(5, 'no\n'), failure(5, 'end\n'), '5 no\nend\n'],
    [failure(5, 'no\n'), kind, '5 no\n'],
  ] as const)
    assert.equal(says(remoteOutputStatus(remoteOutput([recipient], end), 0)), expected)
  for (const end of [kind, failure(4, 'later\n'), failure(5, 'no\n')])
    assert.equal(says(remoteOutputStatus(remoteOutput([], end), 0)), says(end))
})
