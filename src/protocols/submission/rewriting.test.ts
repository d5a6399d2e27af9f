import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultRewriting, parseRewriting, rewriteHost } from './rewriting.ts'

function rewrite(host: string, text: string): string {
  const parsed = parseRewriting(text)
  assert.ok(parsed.valid)
  return rewriteHost(host, parsed.instructions)
}

describe('rewriting', () => {
  it('= wants the whole host, * its end, - its end and takes all', () => {
    assert.equal(rewrite('a.b', '=a.b:new\n'), 'new')
    assert.equal(rewrite('x.a.b', '=a.b:new\n'), 'x.a.b')
    assert.equal(rewrite('x.A.b', '*a.B:new\n'), 'x.new')
    assert.equal(rewrite('x.a.b', '-a.b:new\n'), 'new')
    assert.equal(rewrite('x.a.c', '-a.b:new\n'), 'x.a.c')
  })

  it('? wants no dot and no bracket before the end', () => {
    assert.equal(rewrite('x', '?:.new\n'), 'x.new')
    assert.equal(rewrite('x+', '?+:.new\n'), 'x.new')
    assert.equal(rewrite('x.y', '?:.new\n'), 'x.y')
    assert.equal(rewrite('[1]', '?:.new\n'), '[1]')
  })

  it('goes through the instructions once, in order', () => {
    assert.equal(rewrite('a', '# remark\n\n=a:b\n=b:c\n=a:d  \n'), 'c')
    assert.equal(rewrite('a..', '*.:\n'), 'a.')
    assert.equal(rewrite('', '=:host:with:colons\n'), 'host:with:colons')
  })

  it('without a file completes what people leave out', () => {
    const instructions = defaultRewriting({ defaulthost: 'h', defaultdomain: 'd.example', plusdomain: 'p.example' })
    const done = (host: string): string => rewriteHost(host, instructions)
    assert.deepEqual(['', 'x', 'x+', 'x.y', 'x.', 'x.y.', '[192.0.2.1]'].map(done), [
      'h.d.example',
      'x.d.example',
      'x.p.example',
      'x.y',
      'x.d.example',
      'x.y',
      '[192.0.2.1]',
    ])
  })

  it('names the line that is no instruction', () => {
    assert.deepEqual(parseRewriting('=a:b\n!a:b\n'), { valid: false, line: 2 })
    assert.deepEqual(parseRewriting('=a\n'), { valid: false, line: 1 })
  })
})
