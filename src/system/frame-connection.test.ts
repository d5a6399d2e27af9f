import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { encodeFrame } from '../contracts/frame.ts'
import { FrameConnection } from './frame-connection.ts'

test('what two have paused is read again when both have resumed it', async () => {
  const [ours, theirs] = duplexPair()
  let frames = 0
  const connection = new FrameConnection(ours, { onFrame: () => void frames++, onClose: () => undefined })
  const heard = async (): Promise<number> => {
    theirs.write(encodeFrame(1))
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    return frames
  }
  const [first, second] = [{}, {}]
  assert.equal(await heard(), 1)
  connection.pause(first)
  connection.pause(first)
  connection.pause(second)
  assert.equal(await heard(), 1)
  connection.resume(first)
  assert.equal(await heard(), 1)
  connection.resume(second)
  assert.equal(await heard(), 4)
  connection.resume(second)
  assert.equal(await heard(), 5)
  connection.end()
})
