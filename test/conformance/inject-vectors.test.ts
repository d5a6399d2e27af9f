/** qmail-inject and sendmail beside a stock build's: header, envelope, exit code and words, byte for byte. */
import assert from 'node:assert/strict'
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { done, failed, type Outcome } from '../../src/base/outcome.ts'
import { queueExitFailure } from '../../src/protocols/qmail/queue-exit.ts'
import { inject } from '../../src/programs/qmail/inject.ts'
import { sendmail } from '../../src/programs/qmail/sendmail.ts'
import { callProgram } from '../kit/qmail-call.ts'
import { sharedJson, skipWithout } from '../kit/shared.ts'

interface Vector {
  readonly prog?: 'qmail-inject' | 'sendmail'
  readonly env: Readonly<Record<string, string>>
  readonly args: readonly string[]
  readonly stdin: string
  readonly rc: number
  readonly stdout: string
  readonly stderr: string
  readonly qq_fd1?: string
  readonly qq_fd0?: string
}

interface Vectors {
  readonly inject_n: readonly Vector[]
  readonly inject_envelope: readonly Vector[]
  readonly qmail_queue_exit_map: readonly {
    readonly qq_exit: number
    readonly fd6?: string
    readonly inject_rc: number
    readonly stderr: string
  }[]
}

const now = 1_700_000_000_123
const pid = 4711

/** As the vectors' dates, times and process numbers are written. */
function normalised(text: string): string {
  return text
    .replaceAll('14 Nov 2023 22:13:20 -0000', '<DATE>')
    .replaceAll(`20231114221320.${pid}`, '<STAMP>.<PID>')
    .replaceAll(`1700000000.${pid}`, '<NOW>.<PID>')
}

describe('qmail-inject and sendmail', { skip: skipWithout('vectors', 'qmail-core.json') }, () => {
  const vectors = sharedJson<Vectors>('vectors', 'qmail-core.json')
  let home = ''
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'quaver-inject-'))
    await mkdir(join(home, 'control'))
    await writeFile(join(home, 'control/me'), 'lab.test.example\n')
    for (const name of ['defaultdomain', 'plusdomain']) await writeFile(join(home, 'control', name), 'test.example\n')
  })
  after(() => rm(home, { recursive: true }))
  const run = (
    { prog, args, env, stdin }: Pick<Vector, 'prog' | 'args' | 'env' | 'stdin'>,
    outcome?: Outcome<number>,
  ) =>
    callProgram(prog === 'sendmail' ? sendmail : inject, {
      name: prog ?? 'qmail-inject',
      home,
      args,
      variables: { USER: 'joe', ...env },
      input: stdin,
      now,
      pid,
      ...(outcome && { outcome }),
    })

  it('have their vectors', () =>
    assert.ok((vectors?.inject_n.length ?? 0) + (vectors?.inject_envelope.length ?? 0) > 30))
  for (const vector of [...(vectors?.inject_n ?? []), ...(vectors?.inject_envelope ?? [])])
    it(JSON.stringify([vector.prog, vector.args, vector.env, vector.stdin.slice(0, 50)]), async () => {
      const end = await run(vector)
      assert.deepEqual(
        {
          rc: end.code,
          stdout: normalised(end.stdout),
          stderr: end.stderr,
          ...(vector.qq_fd1 !== undefined && {
            qq_fd1: normalised(end.envelope ?? ''),
            qq_fd0: normalised(end.content ?? ''),
          }),
        },
        {
          rc: vector.rc,
          stdout: vector.stdout,
          stderr: vector.stderr,
          ...(vector.qq_fd1 !== undefined && { qq_fd1: vector.qq_fd1, qq_fd0: vector.qq_fd0 }),
        },
      )
    })

  it('say what each exit code of the queue program means', async () => {
    for (const { qq_exit: code, fd6: customError = '', inject_rc, stderr } of vectors?.qmail_queue_exit_map ?? []) {
      const failure = queueExitFailure({ code, customError, writeFailed: false })
      const end = await run(
        { args: ['a@b.c'], env: {}, stdin: '\n' },
        failure === undefined ? done(1) : failed(failure),
      )
      assert.deepEqual({ code: end.code, stderr: end.stderr }, { code: inject_rc, stderr }, `code ${code}`)
    }
  })
})
