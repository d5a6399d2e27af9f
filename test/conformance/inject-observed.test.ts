/** What a qmail-inject did with generated headers, arguments and variables, observed once and kept beside this file: one
 *  case a line, strings as bytes (latin-1). Ours does the same. */
import assert from 'node:assert/strict'
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { inject } from '../../src/programs/qmail/inject.ts'
import { callProgram } from '../kit/qmail-call.ts'

interface Observed {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string
  readonly code: number
  readonly stderr: string
  /** Dates and ids that were put in are `<DATE>` and `<ID`; null if it failed. */
  readonly content: string | null
  readonly envelope: string | null
}

const observed = readFileSync(join(import.meta.dirname, 'inject-observed.jsonl'), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Observed)

function withoutStamps(content: string): string {
  return content
    .replace(/^((?:Resent-)?Date: )\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000$/gm, '$1<DATE>')
    .replace(/^((?:Resent-)?Message-ID: )<\d{14}\.\d+\.qmail@/gm, '$1<ID@')
}

describe('qmail-inject', () => {
  const home = mkdtempSync(join(tmpdir(), 'quaver-inject-'))
  mkdirSync(join(home, 'control'))
  for (const [name, text] of [
    ['me', 'lab.test.example'],
    ['defaultdomain', 'test.example'],
    ['plusdomain', 'test.example'],
  ] as const)
    writeFileSync(join(home, 'control', name), `${text}\n`)
  after(() => rmSync(home, { recursive: true, force: true }))

  it(`does with ${observed.length} generated messages what was observed`, async () => {
    assert.ok(observed.length >= 200)
    for (const { args, env, stdin, ...expected } of observed) {
      const call = { name: 'qmail-inject', home, args, variables: env, input: stdin, now: 1e12 }
      const { code, stderr, content, envelope } = await callProgram(inject, call)
      const shown = { code, stderr, content: content === undefined ? null : withoutStamps(content) }
      assert.deepEqual({ ...shown, envelope: envelope ?? null }, expected, JSON.stringify({ args, env, stdin }))
    }
  })
})
