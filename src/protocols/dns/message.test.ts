import assert from 'node:assert/strict'
import { it } from 'node:test'
import { assert as holds, nat, property, uint8Array } from 'fast-check'
import { type DnsMessage, DnsMessageError, encodeQuestion, parseMessage } from './message.ts'

/** Numbers are bytes, words are names without compression. */
function bytes(...parts: readonly (number | string)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => (typeof part === 'number' ? [part] : name(part))))
}

function name(text: string): number[] {
  return [...text.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]), 0]
}

const header = [0x12, 0x34, 0x81, 0xa0, 0, 1, 0, 2, 0, 0, 0, 0]
const question = ['a.test', 0, 15, 0, 1]
const pointer = [0xc0, 12]

it('reads what it needs: flags, question, records with compressed names', () => {
  const mx = [...pointer, 0, 15, 0, 1, 0, 0, 0x0e, 0x10, 0, 7, 0, 10, 2, 0x4d, 0x78, ...pointer]
  const signature = [...pointer, 0, 46, 0, 1, 0, 0, 0, 1, 0, 1, 9]
  assert.deepEqual(parseMessage(bytes(...header, ...question, ...signature, ...mx)), {
    id: 0x1234,
    isAnswer: true,
    isTruncated: false,
    isAuthentic: true,
    code: 0,
    question: { name: 'a.test', type: 15 },
    records: [{ name: 'a.test', ttlSeconds: 3600, type: 'MX', preference: 10, exchange: 'mx.a.test' }],
  } satisfies DnsMessage)
})

it('reads addresses, aliases and TLSA records; a dot within a label is shown as one', () => {
  const one = [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]
  const record = (type: number, ...data: (number | string)[]): unknown => {
    const length = bytes(...data).length
    const whole = bytes(...one, ...question, ...pointer, 0, type, 0, 1, 0, 0, 0, 60, 0, length, ...data)
    return parseMessage(whole).records[0]
  }
  const same = { name: 'a.test', ttlSeconds: 60 }
  assert.deepEqual(record(1, 192, 0, 2, 1), { ...same, type: 'A', address: Uint8Array.of(192, 0, 2, 1) })
  assert.deepEqual(record(5, 'Mail.B.test'), { ...same, type: 'CNAME', target: 'mail.b.test' })
  assert.deepEqual(record(5, 3, 0x61, 0x2e, 0x62, 0), { ...same, type: 'CNAME', target: String.raw`a\.b` })
  const tlsa = { usage: 3, selector: 1, matching: 1, data: Uint8Array.of(7, 8) }
  assert.deepEqual(record(52, 3, 1, 1, 7, 8), { ...same, type: 'TLSA', tlsa })
  assert.throws(() => record(1, 192, 0, 2), DnsMessageError)
  assert.throws(() => record(52, 3, 1), DnsMessageError)
})

it('has an end, whatever it is given', () => {
  const refused: [string, Uint8Array][] = [
    ['a name that leads to itself', bytes(...header, 0xc0, 12, 0, 1, 0, 1)],
    ['a name that leads ahead', bytes(...header, 0xc0, 20, 0, 1, 0, 1, 0, 0)],
    ['a label of another kind', bytes(...header, 0x40, 0, 0, 1, 0, 1)],
    ['a name without end', bytes(...header, ...Array.from({ length: 6 }, () => [50, ...Buffer.alloc(50)]).flat())],
    ['a record behind the end', bytes(...header, ...question, ...pointer, 0, 1, 0, 1, 0, 0, 0, 60, 0, 9, 1)],
    ['half a header', bytes(...header.slice(0, 7))],
    ['nothing', bytes()],
  ]
  for (const [what, message] of refused) assert.throws(() => parseMessage(message), DnsMessageError, what)
  holds(
    property(uint8Array({ maxLength: 300 }), nat(300), (noise, keep) => {
      try {
        parseMessage(Uint8Array.from([...header, ...noise]).slice(0, keep))
      } catch (error) {
        assert.ok(error instanceof DnsMessageError)
      }
    }),
    { numRuns: 500 },
  )
})

it('asks for a name, and wants to know whether the answer was verified', () => {
  const asked = encodeQuestion(7, '_25._tcp.mx.test', 'TLSA') ?? Uint8Array.of()
  const { question: of, id, isAnswer, isAuthentic } = parseMessage(asked)
  assert.deepEqual([of, id, isAnswer, isAuthentic], [{ name: '_25._tcp.mx.test', type: 52 }, 7, false, true])
  for (const bad of ['', 'a..b', 'a.', `${'a'.repeat(64)}.test`, 'a.'.repeat(127) + 'ab'])
    assert.equal(encodeQuestion(1, bad, 'A'), undefined)
})
