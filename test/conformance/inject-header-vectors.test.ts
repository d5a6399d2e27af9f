/** qmail-inject's headers beside ours: the same fields are added, the same hosts completed. What it writes anew we leave as
 *  it came (blanks, quotes, routes); the vectors where that shows are listed with what we say. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cleanHeader } from '../../src/protocols/submission/clean.ts'
import { defaultRewriting } from '../../src/protocols/submission/rewriting.ts'
import { HeaderGatherer } from '../../src/protocols/rfc822/header.ts'
import { sharedJson, skipWithout } from '../kit/shared.ts'

interface Vector {
  readonly env: Readonly<Record<string, string>>
  readonly args: readonly string[]
  readonly stdin: string
  readonly stdout: string
}

const rewriting = defaultRewriting({
  defaulthost: 'lab.test.example',
  defaultdomain: 'test.example',
  plusdomain: 'test.example',
})

function ours(message: string): string {
  const gatherer = new HeaderGatherer()
  const body = (gatherer.push(message) ?? '') + gatherer.end()
  const facts = { received: '', milliseconds: 0, messageId: '<ID>', rewriting, author: undefined }
  const { text } = cleanHeader(gatherer.fields, { ...facts, sender: 'joe@lab.test.example' })
  return text.replace(/^Date: 1 Jan 1970 .*/m, 'Date: <DATE>') + body
}

function qmails({ stdout }: Vector): string {
  return stdout.replace(/^Return-Path: .*\n/, '').replace(/<<STAMP>.<PID>.qmail@[^>]*>/, '<ID>')
}

/** Folding and blanks left out. */
function bare(text: string): string {
  return text.replace(/[ \t]+|\n(?=[ \t])/g, '')
}

const added = 'Date: <DATE>\nMessage-ID: <ID>\nFrom: joe@lab.test.example\n'
/** By what was handed in: what we make of it. */
const different: ReadonlyMap<string, string> = new Map([
  // A route stays.
  [
    'To: <@relay:a@b.c>, <>, foo@[], x@[1.2.3.4], .lead@q, a@b@c\n',
    `${added}To: <@relay:a@b.c>, <>, foo@[], x@[1.2.3.4], .lead@q.test.example, a@b@c.test.example\n`,
  ],
  // A backslash outside of quotes: the field stays.
  ['To: a (comment (nested) \\) x) , b\\ c@d\n\nx\n', `${added}To: a (comment (nested) \\) x) , b\\ c@d\n\nx\n`],
  ['To: a;b\n\n', `${added}To: a@lab.test.example;b@lab.test.example\n\n`],
  // Resent fields are trace to ofmipd, and stay.
  [
    'Resent-To: a\nTo: b\nFrom: c\n\nx\n',
    'Date: <DATE>\nMessage-ID: <ID>\nResent-To: a\nTo: b@lab.test.example\nFrom: c@lab.test.example\n\nx\n',
  ],
  [
    'Resent-Bcc: a\nFrom: c\n\nx\n',
    'Date: <DATE>\nMessage-ID: <ID>\nCc: recipient list not shown: ;\nFrom: c@lab.test.example\n\nx\n',
  ],
])

describe('qmail-inject -n', { skip: skipWithout('vectors', 'qmail-core.json') }, () => {
  const all = sharedJson<{ readonly inject_n: readonly Vector[] }>('vectors', 'qmail-core.json')?.inject_n ?? []
  // Environment and options are its own business.
  const vectors = all.filter(({ env, args }) => Object.keys(env).length === 0 && args.length === 1)
  it('has its vectors', () => assert.ok(vectors.length >= 16))
  for (const vector of vectors)
    it(JSON.stringify(vector.stdin.slice(0, 60)), () => {
      const expected = different.get(vector.stdin) ?? qmails(vector)
      assert.equal(bare(ours(vector.stdin)), bare(expected))
    })
})
