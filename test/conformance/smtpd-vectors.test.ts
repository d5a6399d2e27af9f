/** Sessions measured on a stock qmail-smtpd, spoken to ours. QMAILQUEUE is a script that does what theirs did. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ProgramEnqueuer } from '../../src/clients/queue/program.ts'
import { realClock } from '../../src/system/clock.ts'
import { sharedJson, skipWithout } from '../kit/shared.ts'
import { ScriptedSession } from '../kit/smtpd.ts'

interface Vector {
  readonly env: Readonly<Record<string, string>>
  readonly control: Readonly<Record<string, string>>
  readonly stdin: string
  /** 0 after QUIT. */
  readonly rc: number
  readonly stdout: string
  readonly qq_fd0: string
  readonly qq_fd1: string
}

/** The only sessions that end otherwise here: decision 16, bare LF and bare CR in content are refused for good. */
const deviations = [
  {
    decision: 16,
    theirs: '451 See https://cr.yp.to/docs/smtplf.html.',
    ours: /^554 bare LF in message, .*\(#5\.6\.0\)$/,
  },
  { decision: 16, content: 'x\r\n.\r\r\n.\r\n', ours: /^554 bare CR in message, .*\(#5\.6\.0\)$/ },
]

const vectors = sharedJson<{ smtpd: Vector[] }>('vectors', 'qmail-core.json')?.smtpd ?? []

test('vectors are there', { skip: skipWithout('vectors', 'qmail-core.json') }, () => assert.ok(vectors.length >= 15))

for (const [index, vector] of vectors.entries()) {
  const shown = JSON.stringify(vector.stdin)
  test(`${index}: ${shown.length > 160 ? `${shown.slice(0, 160)}…` : shown}`, () => check(vector))
}

async function check(vector: Vector): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'quaver-vectors-'))
  try {
    const program = join(home, 'qq')
    writeFileSync(program, '#!/bin/sh\ncat > fd0; cat <&1 > fd1; printf %s "$QQERR" >&6; exit "${QQRC:-0}"\n')
    chmodSync(program, 0o755)
    const enqueuer = new ProgramEnqueuer(program, home, { QQRC: '0', QQERR: '', ...vector.env }, realClock)
    const world = new ScriptedSession({ control: vector.control, environment: vector.env, enqueuer })
    world.session.receive(Buffer.from(vector.stdin, 'latin1'))
    world.session.receiveEnd()
    while (!world.closed) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      world.clock.advance(1000)
    }

    const deviation = deviations.find(
      ({ theirs, content }) =>
        (theirs !== undefined && vector.stdout.includes(theirs)) ||
        (content !== undefined && vector.stdin.includes(content)),
    )
    if (deviation !== undefined) {
      const lines = world.output.trimEnd().split('\r\n')
      assert.match(lines.at(-1) ?? '', deviation.ours)
      const before = lines.slice(0, -1).join('\r\n')
      assert.equal(vector.stdout.startsWith(`${before}\r\n`), true, 'the same until then')
      assert.equal(existsSync(join(home, 'fd1')), false, 'nothing queued')
      return
    }
    assert.equal(normalized(world.output), vector.stdout)
    assert.equal(world.output.includes('\r\n221 '), vector.rc === 0)
    assert.equal(fileOr(join(home, 'fd1')), vector.qq_fd1)
    // Theirs had given a refused message to the queue before it refused; ours never starts the program.
    if (vector.qq_fd1 !== '') assert.equal(normalized(fileOr(join(home, 'fd0'))), vector.qq_fd0)
  } finally {
    rmSync(home, { recursive: true })
  }
}

function fileOr(path: string): string {
  return existsSync(path) ? readFileSync(path, 'latin1') : ''
}

function normalized(text: string): string {
  return text
    .replace(/\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000/g, '<DATE>')
    .replace(/ok \d+ qp \d+/g, 'ok <NOW> qp <PID>')
}
