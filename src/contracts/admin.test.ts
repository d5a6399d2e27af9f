import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AdminReplyReader, encodeAdminReply } from './admin.ts'
import { ContractError, encodeFrame, type Frame, FrameReader } from './frame.ts'

function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = []
  new FrameReader().push(bytes, (frame) => frames.push(frame))
  return frames
}

describe('rows of an admin answer', () => {
  it('arrive whole, however long, one after the other', () => {
    const reader = new AdminReplyReader()
    for (const length of [0, 1024 * 1024 - 2, 1024 * 1024 - 1, 5_000_000]) {
      const row = 'x'.repeat(length)
      const read = framesOf(encodeAdminReply({ kind: 'row', row })).map((frame) => reader.read(frame))
      assert.deepEqual(read.pop(), { kind: 'row', row })
      assert.ok(read.every((reply) => reply === undefined))
    }
    assert.deepEqual(
      framesOf(encodeAdminReply({ kind: 'end' })).map((frame) => reader.read(frame)),
      [{ kind: 'end' }],
    )
  })

  it('without end break the contract', () => {
    const reader = new AdminReplyReader()
    const [part] = framesOf(encodeFrame(100, Buffer.alloc(1024 * 1024, 0x20)))
    assert.ok(part !== undefined)
    assert.throws(() => {
      for (let n = 0; n < 100; n++) reader.read(part)
    }, ContractError)
  })
})
