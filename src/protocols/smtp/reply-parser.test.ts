import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Reply, ReplyParser, replyLinesMax, replyTextBytesMax } from './reply-parser.ts'

function parse(...chunks: string[]): { replies: Reply[]; wellFormed: boolean } {
  const parser = new ReplyParser()
  const replies: Reply[] = []
  const wellFormed = chunks.every((chunk) => parser.push(chunk, (reply) => replies.push(reply)))
  return { replies, wellFormed }
}

describe('ReplyParser', () => {
  it('gives the same replies however the bytes are cut', () => {
    const bytes = '220 hi\r\n250-one\r\n250-\r\n250\r\n354 \x01go\r\n'
    const expected = [
      { code: 220, text: '220 hi\n' },
      { code: 250, text: '250-one\n250-\n250\n' },
      { code: 354, text: '354 \x01go\n' },
    ]
    for (let at = 0; at <= bytes.length; at++)
      assert.deepEqual(parse(bytes.slice(0, at), bytes.slice(at)), { replies: expected, wellFormed: true })
    assert.deepEqual(parse(...bytes.split('')).replies, expected)
  })
  for (const bad of [
    '25\r\n',
    'abc\r\n',
    '2x0 no\r\n',
    '250=x\r\n',
    '199 low\r\n',
    '600 high\r\n',
    '-250 x\r\n',
    'x\r\n250 ok\r\n',
  ])
    it(`refuses ${JSON.stringify(bad)}`, () => assert.deepEqual(parse(bad), { replies: [], wellFormed: false }))
  for (const [bytes, code, text] of [
    ['\r\n250 a\r\n', 250, '250 a\n'],
    ['250-a\r\n\r\n250 b\r\n', 250, '250-a\n250 b\n'],
    ['250\tok\r\n', 250, '250\tok\n'],
    ['220-hello\r\n all of you\r\n220 go\r\n', 220, '220-hello\n all of you\n220 go\n'],
    ['220-hello\r\n521 not you\r\n', 521, '220-hello\n521 not you\n'],
    ['250-queued\r\n251 ok\r\n', 251, '250-queued\n251 ok\n'],
    ['250-a\r\n450 b\r\n', 450, '250-a\n450 b\n'],
    ['550-a\r\n450 b\r\n', 450, '550-a\n450 b\n'],
    ['450-a\r\n550 b\r\n', 450, '450-a\n550 b\n'],
    ['550-a\r\n250 b\r\n', 451, '550-a\n250 b\n'],
  ] as const)
    it(`reads ${JSON.stringify(bytes)} as ${code}`, () =>
      assert.deepEqual(parse(bytes), { replies: [{ code, text }], wellFormed: true }))
  it('is idle again after empty lines behind a reply, and does not take them without end', () => {
    const parser = new ReplyParser()
    assert.equal(
      parser.push('250 ok\r\n\r\n\r\n', () => undefined),
      true,
    )
    assert.equal(parser.idle, true)
    assert.equal(
      parser.push('\r\n'.repeat(replyLinesMax + 1), () => undefined),
      false,
    )
  })
  for (const [bytes, rest] of [
    ['250 queued', { code: 250, text: '250 queued\n' }],
    ['250-queued\r\n', { code: 250, text: '250-queued\n' }],
    ['550-go\r\n550-aw', { code: 550, text: '550-go\n550-aw\n' }],
    ['25', undefined],
    ['250 ok\r\n', undefined],
    ['', undefined],
  ] as const)
    it(`when no more will come, ${JSON.stringify(bytes)} leaves ${rest?.code ?? 'nothing'}`, () => {
      const parser = new ReplyParser()
      parser.push(bytes, () => undefined)
      assert.deepEqual(parser.rest(), rest)
    })
  it('refuses one line too many', () => {
    assert.equal(parse('250-x\r\n'.repeat(replyLinesMax)).wellFormed, true)
    assert.equal(parse('250-x\r\n'.repeat(replyLinesMax + 1)).wellFormed, false)
  })
  it('refuses a line that never ends', () =>
    assert.equal(parse(...Array<string>(70).fill('2'.repeat(1000))).wellFormed, false))
  it('keeps as much text as qmail does', () => {
    const { replies } = parse(`${`250-${'x'.repeat(900)}\r\n`.repeat(9)}250 end\r\n`)
    assert.equal(replies[0]?.text.length, replyTextBytesMax)
  })
  it('is idle between replies only', () => {
    const parser = new ReplyParser()
    assert.equal(parser.idle, true)
    parser.push('220 a\r\n2', () => undefined)
    assert.equal(parser.idle, false)
    parser.push('50 b\r\n', () => undefined)
    assert.equal(parser.idle, true)
  })
})
