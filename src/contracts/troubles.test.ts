import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeFromProgram, encodeFromProgram } from './supervise.ts'
import { FrameReader } from './frame.ts'
import { causes, explainTrouble, type Trouble, troubleIn, troublesMax } from './troubles.ts'

describe('troubles', () => {
  it('cross the contract, at most so many, and a kind of a later version as unknown', () => {
    const troubles: Trouble[] = Array.from({ length: troublesMax + 1 }, (_, at) => {
      return { kind: 'disk-full', where: `/é${at}`, text: 'x'.repeat(5000) }
    })
    const later = { kind: 'later', where: '', text: 'x' } as unknown as Trouble
    const frames = new FrameReader()
    const pass = (sent: readonly Trouble[]): readonly Trouble[] => {
      let read: readonly Trouble[] = []
      frames.push(encodeFromProgram({ kind: 'troubles', troubles: sent, counts: {} }), (frame) => {
        const message = decodeFromProgram(frame)
        if (message?.kind === 'troubles') read = message.troubles
      })
      return read
    }
    const many = pass(troubles)
    assert.equal(many.length, troublesMax)
    assert.deepEqual([many[1]?.kind, many[1]?.where, many[1]?.text.length], ['disk-full', '/é1', 1024])
    assert.deepEqual(pass([later]), [{ ...later, kind: 'unknown' }])
  })

  for (const [text, kind, where] of [
    ["ENOSPC: no space left on device, open '/srv/q/queue.db'", 'disk-full', '/srv/q/queue.db'],
    ["ENOSPC: no space left on device, write '/srv/q/auth/.passwd.7.new'", 'disk-full', '/srv/q/auth/'],
    ['trouble writing the queue: no space left on device', 'disk-full', ''],
    ['guard.sqlite: database or disk is full', 'disk-full', ''],
    ['maildir /srv/m/: EDQUOT: disk quota exceeded, write', 'disk-full', '/srv/m/'],
    ["maildir /srv/m/: ENOENT: no such file or directory, open '/srv/m/tmp/1.h'", 'maildir-missing', '/srv/m/'],
    ["maildir /srv/m/: EROFS: read-only file system, open '/srv/m/tmp/1.h'", 'read-only', '/srv/m/'],
    ["control/rcpthosts: EACCES: permission denied, open '/q/control/rcpthosts'", 'unreadable', '/q/control/rcpthosts'],
  ] as const)
    it(`are known by the system's code: ${kind} in "${text}"`, () => {
      assert.deepEqual(troubleIn(text), { kind, where, text })
    })

  it('are none where no code is', () => {
    for (const text of ['', 'connected to 192.0.2.1 but my name was rejected', 'EHLO refused: EXPN'])
      assert.equal(troubleIn(text), undefined, text)
  })

  it('each have words and a remedy', () => {
    for (const kind of Object.keys(causes) as Trouble['kind'][])
      assert.match(explainTrouble({ kind, where: '/x' }), /\(\/x\)\. To do: \S/)
  })
})
