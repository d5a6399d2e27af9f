import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { HeaderAndBody } from './header-and-body.ts'

function cut(message: string, pieceBytes: number): string[] {
  const seen: string[] = []
  let body = ''
  const split = new HeaderAndBody({
    header: (text) => void seen.push(text),
    body: (bytes) => {
      assert.equal(seen.length, 1, 'the header comes first')
      body += fromBuffer(bytes)
    },
  })
  const bytes = toBuffer(message)
  for (let at = 0; at < bytes.length; at += pieceBytes) split.push(bytes.subarray(at, at + pieceBytes))
  split.end()
  return [...seen, body]
}

const messages: readonly (readonly [message: string, header: string, body: string])[] = [
  ['A: b\nC: \xff\n\nbody\n\nmore\n', 'A: b\nC: \xff\n', 'body\n\nmore\n'],
  ['A: b\n\n', 'A: b\n', ''],
  ['A: b\n', 'A: b\n', ''],
  ['A: b', 'A: b', ''],
  ['\nbody\n', '', 'body\n'],
  ['\n\nbody\n', '', '\nbody\n'],
  ['\n', '', ''],
  ['', '', ''],
  ['A: b\n\n\n\n', 'A: b\n', '\n\n'],
]

test('header and body are the same however the message is cut', () => {
  for (const [message, ...expected] of messages) {
    for (const pieceBytes of [1, 2, 3, 5, 100]) assert.deepEqual(cut(message, pieceBytes), expected, `${pieceBytes}`)
  }
})
