import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realClock } from '../../system/clock.ts'
import { Child, type Command } from './child.ts'

test('a runtime that is away is named, and tried again', async () => {
  const { promise, resolve } = Promise.withResolvers<string>()
  const command: Command = {
    file: '/nowhere/node',
    args: [],
    env: {},
    cwd: '/',
    uid: undefined,
    gid: undefined,
    logFd: 2,
    listenFds: [],
  }
  const child = new Child('queue', command, { ready: () => undefined, trouble: resolve }, realClock)
  child.start()
  assert.match(
    await promise,
    /^queue cannot run: \/nowhere\/node is not there \(ENOENT\): an upgrade .*; it is started again in /,
  )
  assert.deepEqual([child.status().state, child.status().restarts], ['waiting', 1])
  child.retire()
})
