import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseMaildirsize } from '../maildir/quota.ts'
import { parseRewriting } from '../submission/rewriting.ts'
import { compileSenderRules } from '../submission/sender-rules.ts'
import { contentLines, parseLine, parseList, parseMap, parseNumber } from './control-format.ts'
import { parseDotQmail } from './dot-qmail.ts'
import { parseFixSmtpIo } from './fixsmtpio.ts'
import { parseRules } from './tcprules.ts'
import { parseAssign } from './users-assign.ts'
import { encodingFault, withoutLines, writtenLines } from './written-text.ts'

const mark = '\xef\xbb\xbf'

describe('text that people write', () => {
  it('means the same with the line ends and the mark of other systems, and with what cannot be seen behind a line', () => {
    const readers: readonly (readonly [(text: string) => unknown, string])[] = [
      [parseLine, 'mail.a.test\nmore\n'],
      [(text) => parseNumber(text, 'bytes'), '50M\n'],
      [parseList, '# remark\na.test\n\n.b.test\n'],
      [contentLines, '# remark\na.test\n\n.b.test\n'],
      [parseMap, 'a.test:one\nb.test:\n'],
      [(text) => parseDotQmail(text, false), './Maildir/\n|cat >/dev/null\n&a@b.test\n+list\n'],
      [parseRules, '192.0.2.7:allow,RELAYCLIENT=""\n:deny\n'],
      [parseAssign, '=joe:joe:1:1:/h:::\n+joe-:joe:1:1:/h:-::\n.\n'],
      [parseFixSmtpIo, ':greeting:::0:250 hello\n'],
      [parseRewriting, '=a:b.test\n?:.b.test\n'],
      [compileSenderRules, 'joe@laptop:Joe:joe@a.test:\n'],
      [parseMaildirsize, '1000S,20C\n100 2\n50 1\n'],
    ]
    for (const [read, text] of readers) {
      assert.deepEqual(read(mark + text.replaceAll('\n', '\r\n')), read(text), text)
      assert.deepEqual(read(text.replaceAll('\n', ' \t\r\n')), read(text), text)
      assert.deepEqual(read(text.replaceAll('\n', '\r')), read(text), text)
      for (const unseen of ['\f', '\v', '\xc2\xa0', '\xc2\x85 ', '\xe2\x80\x8b', `${mark}\r`])
        assert.deepEqual(read(text.replaceAll('\n', `${unseen}\n`)), read(text), `${text}${unseen}`)
    }
  })

  it('a mark alone is an empty file, and only the first one is none of the content', () => {
    assert.deepEqual(writtenLines(mark), [])
    assert.deepEqual(writtenLines(`${mark}a\n${mark}b`), ['a', `${mark}b`])
    assert.deepEqual(writtenLines('a\rb\r\r\n\r\nc\r'), ['a', 'b', '', 'c'])
  })

  it('loses the lines that are taken out, and nothing else', () => {
    const text = `${mark}a \r\nb\r\r\n\nc\rd\re`
    const isGone = (line: string): boolean => ['b', 'd'].includes(line)
    assert.equal(withoutLines(text, isGone), `${mark}a \r\n\nc\re`)
    for (const same of ['', mark, '\n', text])
      assert.equal(
        withoutLines(same, () => false),
        same === mark ? '' : same,
      )
  })

  it('in UTF-16 is refused, with a mark or without', () => {
    for (const bytes of ['\xff\xfea\0', '\xfe\xff\0a', 'a\0.\0', '\0a\0.'])
      assert.equal(encodingFault(bytes), 'is UTF-16: save it as UTF-8')
    for (const bytes of ['', '\0', 'a', 'abc\0', mark]) assert.equal(encodingFault(bytes), undefined)
    const text = '.\0/\0M\0'
    assert.match(JSON.stringify(parseDotQmail(text, false)), /refuse.*UTF-16/)
    assert.match(JSON.stringify(parseRules(text)), /"line":1.*UTF-16/)
    assert.match(JSON.stringify(parseAssign(text)), /"line":1.*UTF-16/)
  })
})
