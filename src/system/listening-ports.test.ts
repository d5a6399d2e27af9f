import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { realClock } from './clock.ts'
import { probeDisk } from './disk-probe.ts'
import { portHolders } from './listening-ports.ts'

it('a port is held by the process that listens there', { skip: process.platform !== 'linux' }, async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const [holder, ...others] = portHolders([port])
  assert.deepEqual([holder?.port, holder?.pid, others.length], [port, process.pid, 0])
  assert.notEqual(holder?.command, '')
  server.close()
  await once(server, 'close')
  assert.deepEqual(portHolders([port]), [])
})

it('a disk is tried without a trace', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quaver-probe-'))
  const { milliseconds, freeBytes } = await probeDisk(directory, realClock)
  assert.ok(milliseconds >= 0 && freeBytes > 0)
  assert.deepEqual(readdirSync(directory), [])
  rmSync(directory, { recursive: true })
  await assert.rejects(probeDisk(directory, realClock))
})
