/** Sessions measured on a stock qmail-qmtpd and qmail-qmqpd, spoken to our programs of these names. QMAILQUEUE is a script that does
 *  what theirs did. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { launcher } from '../kit/programs.ts'
import { sharedJson, skipWithout } from '../kit/shared.ts'

interface Vector {
  readonly prog: string
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string
  readonly rc: number
  readonly stdout: string
  /** The envelope that the queue got, and the content; empty: it got nothing. */
  readonly qq_fd1: string
  readonly qq_fd0: string
}

/** Those whose input the file of vectors does not hold whole. */
const isCut = ({ stdin }: Vector): boolean => stdin.endsWith('...')
const vectors = sharedJson<{ qmtpd_qmqpd: Vector[] }>('vectors', 'qmail-core.json')?.qmtpd_qmqpd ?? []
const told = {
  TCPREMOTEIP: '192.0.2.9',
  TCPREMOTEHOST: 'c.ex',
  TCPLOCALIP: '192.0.2.1',
  QMAILQUEUE: 'queue.sh',
}

test('vectors are there', { skip: skipWithout('vectors', 'qmail-core.json') }, () =>
  assert.ok(vectors.filter((vector) => !isCut(vector)).length >= 8),
)

for (const [index, vector] of vectors.entries())
  if (!isCut(vector)) test(`${index}: ${vector.prog} ${JSON.stringify(vector.stdin).slice(0, 80)}`, () => check(vector))

async function check({ prog, env, stdin, rc, stdout, qq_fd0, qq_fd1 }: Vector): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'quaver-vectors-'))
  try {
    mkdirSync(join(home, 'control'))
    for (const name of ['me', 'rcpthosts']) writeFileSync(join(home, 'control', name), 'lab.test.example\n')
    writeFileSync(join(home, 'queue.sh'), '#!/bin/sh\ncat > fd0; cat <&1 > fd1; exit "${QQRC:-0}"\n', { mode: 0o755 })
    const child = spawn(launcher, [prog, '--home', home], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { PATH: process.env['PATH'], ...told, ...env },
    })
    // One that breaks the protocol is not heard to its end.
    child.stdin.on('error', () => undefined)
    child.stdin.end(stdin, 'latin1')
    const [said, [code]] = await Promise.all([buffer(child.stdout), once(child, 'exit') as Promise<[number | null]>])
    const withoutNumbers = (text: string): string => text.replace(/\d+:Kok [^,]*,/g, 'Kok,')
    assert.deepEqual([withoutNumbers(said.toString('latin1')), code], [withoutNumbers(stdout), rc])
    // What its last words say of a queue that was asked in vain, the measured one wrote too.
    if (!/K|Z/.test(stdout)) return
    const got = (name: string): string => readFileSync(join(home, name), 'latin1').replace(/; .*/, '; <DATE>')
    if (qq_fd1 !== '') assert.equal(got('fd1'), qq_fd1)
    if (qq_fd0 !== '') assert.equal(got('fd0'), qq_fd0.replace(/; .*/, '; <DATE>'))
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}
