import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Form, netstring, PackageReader } from './package-reader.ts'

const limits = { bytesMax: 200_000_000, addressBytesMax: 10, recipientsMax: 3 }

interface Read {
  readonly content: string
  readonly sender: string | undefined
  readonly recipients: readonly (string | undefined)[]
  readonly fault: string | undefined
  readonly over: boolean
  readonly rest: string
}

/** In pieces of `size`. */
function read(form: Form, text: string, size: number): Read {
  let content = ''
  const reader = new PackageReader(form, limits, (bytes) => (content += bytes.toString('latin1')))
  const bytes = Buffer.from(text, 'latin1')
  let at = 0
  while (at < bytes.length && !reader.isOver && reader.fault === undefined)
    at += reader.push(bytes.subarray(at, at + size))
  const { sender, recipients, fault, isOver } = reader
  return { content, sender, recipients, fault, over: isOver, rest: text.slice(at) }
}

function qmtp(message: string, sender: string, ...recipients: string[]): string {
  return netstring(message) + netstring(sender) + netstring(recipients.map(netstring).join(''))
}

function qmqp(...parts: string[]): string {
  return netstring(parts.map(netstring).join(''))
}

describe('netstrings', () => {
  for (const size of [1, 2, 3, 1000]) {
    it(`QMTP, in pieces of ${size}`, () => {
      const sent = qmtp('\nSubject: x\n\nb\rc\r\n', 's@x', 'a@y', '', 'b\nc')
      const expected = { sender: 's@x', recipients: ['a@y', '', undefined], fault: undefined, over: true }
      assert.deepEqual(read('qmtp', `${sent}NEXT`, size), {
        ...expected,
        content: 'Subject: x\n\nb\rc\r\n',
        rest: 'NEXT',
      })
      const crlf = qmtp('\rSubject: x\r\n\r\nb\rc\r\n\r', 's@x', 'a@y')
      assert.equal(read('qmtp', crlf, size).content, 'Subject: x\n\nb\rc\n\r')
      assert.deepEqual(read('qmtp', qmtp('\n', ''), size), {
        ...expected,
        sender: '',
        recipients: [],
        content: '',
        rest: '',
      })
    })

    it(`QMQP, in pieces of ${size}`, () => {
      const request = qmqp('\rSubject: x\n', 's@x', 'a@y', 'longer-than-ten')
      assert.deepEqual(read('qmqp', `${request}rest`, size), {
        content: '\rSubject: x\n',
        sender: 's@x',
        recipients: ['a@y', undefined],
        fault: undefined,
        over: true,
        rest: 'rest',
      })
      assert.deepEqual(read('qmqp', qmqp('', ''), size).over, true)
    })
  }

  it('what is none ends it', () => {
    const faults: readonly (readonly [Form, string])[] = [
      ['qmtp', 'x'],
      ['qmtp', ':,'],
      ['qmtp', '1;\n,'],
      ['qmtp', '0:,'],
      ['qmtp', '1:x,'],
      ['qmtp', '1:\n;'],
      ['qmtp', '200000001:'],
      ['qmtp', '00000000001:'],
      ['qmtp', `1:\n,0:,3:5:a`],
      ['qmtp', `1:\n,0:,2:0:,,`],
      ['qmtp', qmtp('\n', '', 'a', 'b', 'c', 'd')],
      ['qmqp', '3:9:a'],
      ['qmqp', `${qmqp('m', 's').slice(0, -1)};`],
      ['qmqp', '2:0:,'],
    ]
    for (const [form, text] of faults) {
      const { fault, over } = read(form, text, 1000)
      assert.match(fault ?? `none of ${text}`, /^no netstring: /)
      assert.equal(over, false)
    }
  })

  it('of what breaks off it says neither', () => {
    const text = qmtp('\nx', 's', 'a')
    for (let length = 0; length < text.length; length++) {
      const { fault, over } = read('qmtp', text.slice(0, length), 1000)
      assert.deepEqual([fault, over], [undefined, false])
    }
  })
})
