import assert from 'node:assert/strict'
import { openSync, closeSync, readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { realClock } from './clock.ts'
import { type ProgramCall, run } from './processes.ts'

const environment = { PATH: '/usr/bin:/bin' }

async function shell(script: string, changes: Partial<ProgramCall> = {}) {
  const stdinFd = openSync('/dev/null', 'r')
  try {
    const call = { file: '/bin/sh', args: ['-c', script], cwd: '/', environment, stdinFd }
    const end = await run(realClock, { ...call, millisecondsMax: 10_000, outputBytesMax: 1000, ...changes })
    return { ...end, output: end.output.toString('latin1') }
  } finally {
    closeSync(stdinFd)
  }
}

describe('run', () => {
  it('keeps the order of what is said on 1 and 2', async () => {
    const end = await shell('echo a; echo b >&2; echo c; echo d >&2; exit 7')
    assert.deepEqual(end, { exitCode: 7, timedOut: false, output: 'a\nb\nc\nd\n' })
  })

  it('gives a pipe that can be opened again', { skip: process.platform !== 'linux' }, async () => {
    assert.equal((await shell('echo a; echo b > /dev/stderr; echo c > /dev/stdout')).output, 'a\nb\nc\n')
  })

  it('reads on beyond the limit, so that the program can finish', async () => {
    const end = await shell('head -c 3000000 /dev/zero; exit 3')
    assert.equal(end.exitCode, 3)
    assert.equal(end.output.length, 1000)
  })

  it('ends a program and its children in time', async () => {
    const end = await shell('echo begun; sleep 60 & sleep 60', { millisecondsMax: 300 })
    assert.deepEqual(end, { exitCode: undefined, timedOut: true, output: 'begun\n' })
  })

  it('says that a signal ended it', async () => {
    assert.equal((await shell('kill -9 $$')).exitCode, undefined)
  })

  it('throws if there is no such program or directory', async () => {
    await assert.rejects(shell('', { file: '/nonexistent' }), { code: 'ENOENT' })
    await assert.rejects(shell('', { cwd: '/nonexistent' }), { code: 'ENOENT' })
  })

  it('leaves no descriptor open', { skip: process.platform !== 'linux' }, async () => {
    await shell('echo a')
    const before = readdirSync('/proc/self/fd').length
    for (let n = 0; n < 5; n++) await shell('echo a')
    await assert.rejects(shell('', { file: '/nonexistent' }))
    await new Promise((resolve) => setImmediate(resolve))
    assert.ok(readdirSync('/proc/self/fd').length <= before)
  })
})
