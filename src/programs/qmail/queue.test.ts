import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseEnvelope } from './queue.ts'

describe('qmail-queue envelope', () => {
  for (const [bytes, expected] of [
    ['Fa@b\0Tc@d\0\0', { sender: 'a@b', recipients: ['c@d'] }],
    ['F\0\0', { sender: '', recipients: [] }],
    ['F#@[]\0Tx\0Ty\0\0what follows is not read', { sender: '#@[]', recipients: ['x', 'y'] }],
    [`F\0T${'x'.repeat(1002)}\0\0`, { sender: '', recipients: ['x'.repeat(1002)] }],
    [`F\0T${'x'.repeat(1003)}\0\0`, 11],
    ['', 54],
    ['Fa@b\0Tc@d\0', 54],
    ['Fa@b', 54],
    ['Xa@b\0\0', 91],
    ['Fa@b\0Xc@d\0\0', 91],
  ] as const)
    it(JSON.stringify(bytes.slice(0, 40)), () => assert.deepEqual(parseEnvelope(bytes), expected))
})
