import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { authorizationError, formatChallenge, parseAuthorization } from './authorization.ts'
import { formatCapabilities } from './capabilities.ts'
import { leadingNumber, parseCommand } from './command.ts'
import { MessageEncoder } from './message-encoder.ts'

describe('POP3 command', () => {
  it('is a verb in any case and an argument without the spaces before it', () => {
    assert.deepEqual(parseCommand('ReTr  1 2\r'), { verb: 'retr', argument: '1 2', rest: ' 1 2' })
    assert.deepEqual(parseCommand('NOOP'), { verb: 'noop', argument: '', rest: '' })
    assert.deepEqual(parseCommand(''), { verb: '', argument: '', rest: '' })
    assert.deepEqual(parseCommand('QUIT\r\r').verb, 'quit\r')
  })

  it('takes leading digits as a number, never a sign, and never lets it become small again', () => {
    assert.deepEqual(leadingNumber('12  3x'), { value: 12, rest: '3x' })
    assert.deepEqual(leadingNumber('1x'), { value: 1, rest: 'x' })
    for (const text of ['', '-1', '+1', 'x', ' 1']) assert.equal(leadingNumber(text), undefined)
    for (const text of ['2147483648', '4294967297', '18446744073709551617', '9'.repeat(250)])
      assert.ok((leadingNumber(text)?.value ?? 0) >= 2 ** 31)
  })
})

describe('POP3 before login', () => {
  it('reads what each line asks for', () => {
    assert.deepEqual(parseAuthorization('USER  joe@example.org\r'), { kind: 'user', name: 'joe@example.org' })
    assert.deepEqual(parseAuthorization('PASS  two words \r'), { kind: 'pass', password: ' two words ' })
    assert.deepEqual(parseAuthorization('AUTH plain'), { kind: 'auth', mechanism: 'PLAIN', initial: undefined })
    assert.deepEqual(parseAuthorization('AUTH SCRAM-SHA-256 ='), {
      kind: 'auth',
      mechanism: 'SCRAM-SHA-256',
      initial: '=',
    })
    assert.deepEqual(parseAuthorization('AUTH'), { kind: 'mechanisms' })
    for (const verb of ['capa', 'stls', 'noop', 'quit', 'utf8'])
      assert.deepEqual(parseAuthorization(verb.toUpperCase()), { kind: verb })
    for (const line of ['PASS', 'PASS ', 'PASS\r'])
      assert.deepEqual(parseAuthorization(line), { kind: 'pass', password: '' }, line)
    for (const line of ['USER', 'USER ', 'AUTH PLAIN a b', 'AUTH PL/AIN', `AUTH ${'A'.repeat(21)}`])
      assert.deepEqual(parseAuthorization(line), { kind: 'malformed' }, line)
    for (const line of ['STAT', 'APOP joe x', 'LANG', ' QUIT', ''])
      assert.deepEqual(parseAuthorization(line), { kind: 'other' }, line)
  })

  it('refuses in the words of qmail-popup, as authup says them', () => {
    assert.equal(authorizationError('first'), '-ERR authup authorization first\r\n')
    assert.equal(authorizationError('userFirst'), '-ERR authup USER first\r\n')
    assert.equal(formatChallenge(''), '+ \r\n')
  })
})

describe('CAPA', () => {
  it('says what is there before login, and after it', () => {
    const before = formatCapabilities({ startTls: true, user: true, mechanisms: ['PLAIN', 'SCRAM-SHA-256'] }, [
      'TOP',
      'EXPIRE NEVER',
    ])
    const common = 'TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8\r\n'
    assert.equal(before, `+OK \r\nSTLS\r\nUSER\r\nSASL PLAIN SCRAM-SHA-256\r\n${common}EXPIRE NEVER\r\n.\r\n`)
    assert.equal(formatCapabilities(undefined), `+OK \r\n${common}.\r\n`)
  })
})

/** qmail-pop3d's loop over lines, with CR LF taken for LF. */
function sentByLines(content: string, bodyLinesMax: number | undefined): string {
  let out = ''
  let inHeader = true
  let left = bodyLinesMax ?? Infinity
  const lines = content.replaceAll('\r\n', '\n').split('\n')
  if (lines.at(-1) === '') lines.pop()
  for (const line of lines) {
    if (!inHeader && left-- <= 0) break
    if (line === '') inHeader = false
    out += `${line.startsWith('.') ? '.' : ''}${line}\r\n`
  }
  return `${out}\r\n.\r\n`
}

function sentInChunks(content: string, cuts: readonly number[], bodyLinesMax: number | undefined): string {
  const encoder = new MessageEncoder(bodyLinesMax)
  let out = ''
  let from = 0
  for (const cut of [...cuts.map((at) => at % (content.length + 1)).sort((a, b) => a - b), content.length]) {
    out += fromBuffer(encoder.encode(toBuffer(content.slice(from, cut))))
    from = cut
  }
  return out + fromBuffer(encoder.end())
}

describe('message as sent', () => {
  const content = fc
    .array(fc.constantFrom('\n', '\n', '\r', '\r\n', '.', 'a', 'b: c', '\0', '\xe4'), { maxLength: 24 })
    .map((parts) => parts.join(''))
  const limit = fc.option(fc.nat({ max: 4 }), { nil: undefined })

  it('has CRLF, doubled dots, and the lines of TOP, wherever chunks are cut', () => {
    fc.assert(
      fc.property(content, limit, fc.array(fc.nat({ max: 40 }), { maxLength: 12 }), (text, bodyLinesMax, cuts) => {
        assert.equal(sentInChunks(text, cuts, bodyLinesMax), sentByLines(text, bodyLinesMax))
      }),
      { numRuns: 3000 },
    )
  })

  it('is the same byte by byte', () => {
    fc.assert(
      fc.property(content, limit, (text, bodyLinesMax) => {
        const everywhere = Array.from({ length: text.length }, (_, at) => at)
        assert.equal(sentInChunks(text, everywhere, bodyLinesMax), sentByLines(text, bodyLinesMax))
      }),
      { numRuns: 1000 },
    )
  })

  it('comes back as it was, with a line end at its end', () => {
    fc.assert(
      fc.property(content, (text) => {
        const sent = sentInChunks(text, [], undefined)
        assert.ok(sent.endsWith('\r\n.\r\n'))
        assert.ok(!sent.slice(0, -'.\r\n'.length).includes('\r\n.\r\n'))
        const lines = sent.slice(0, -'\r\n.\r\n'.length).split('\r\n')
        const received = lines.map((line) => line.replace(/^\.\./, '.')).join('\n')
        const stored = text.replaceAll('\r\n', '\n')
        assert.equal(received, stored === '' || stored.endsWith('\n') ? stored : `${stored}\n`)
      }),
    )
  })

  it('stops wanting content once the lines of TOP are there', () => {
    const encoder = new MessageEncoder(1)
    assert.equal(fromBuffer(encoder.encode(toBuffer('a: b\n\nbody'))), 'a: b\r\n\r\nbody')
    assert.equal(encoder.isCut, false)
    assert.equal(fromBuffer(encoder.encode(toBuffer(' one\nbody two\n'))), ' one\r\n')
    assert.equal(encoder.isCut, true)
    assert.equal(encoder.encode(toBuffer('more')).length, 0)
    assert.equal(fromBuffer(encoder.end()), '\r\n.\r\n')
  })
})
