import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { realClock } from './clock.ts'
import { type WatchedCall, WatchedProcess } from './watched-process.ts'

async function shell(script: string, changes: Partial<WatchedCall> = {}) {
  const said: Buffer[] = []
  const take = (bytes: Buffer): void => {
    said.push(bytes)
  }
  const program = await WatchedProcess.start(realClock, {
    file: '/bin/sh',
    args: ['-c', script],
    cwd: '/',
    environment: new Map([['PATH', '/usr/bin:/bin']]),
    descriptors: [null, take, take],
    millisecondsMax: 10_000,
    ...changes,
  })
  const { exitCode, timedOut } = await program.ended
  return { exitCode, timedOut, output: Buffer.concat(said).toString('latin1') }
}

describe('a program that is watched', () => {
  it('keeps the order of what is said on 1 and 2', async () => {
    const end = await shell('echo a; echo b >&2; echo c; echo d >&2; exit 7')
    assert.deepEqual(end, { exitCode: 7, timedOut: false, output: 'a\nb\nc\nd\n' })
  })

  it('gives a pipe that can be opened again', { skip: process.platform !== 'linux' }, async () => {
    assert.equal((await shell('echo a; echo b > /dev/stderr; echo c > /dev/stdout')).output, 'a\nb\nc\n')
  })

  it('gets bytes that are no UTF-8, whatever they mean to a shell', async () => {
    const all = Array.from({ length: 255 }, (_, code) => String.fromCharCode(code + 1)).join('')
    const environment = new Map([['WHAT', `-e %s\\n$(x)\`'"${all}\n\n`]])
    const args = ['-c', 'printf %s "$WHAT$1"', 'sh', `%d\xff`]
    assert.equal((await shell('', { args, environment })).output, `${environment.get('WHAT')}%d\xff`)
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
