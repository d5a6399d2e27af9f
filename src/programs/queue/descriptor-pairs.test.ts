import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { descriptorOf } from '../../system/descriptors.ts'
import { DescriptorPairs } from './descriptor-pairs.ts'

const directory = mkdtempSync(join(tmpdir(), 'quaver-pairs-'))
const server = createServer((socket) => accepted.push(socket))
const accepted: Socket[] = []
before(async () => {
  server.listen(join(directory, 'socket'))
  await once(server, 'listening')
})
after(() => {
  for (const socket of accepted) socket.destroy()
  server.close()
  rmSync(directory, { recursive: true })
})

async function connected(): Promise<Socket> {
  const made = connect(join(directory, 'socket'))
  await once(made, 'connect')
  return made
}

test('the two connections of a process find each other in any order', async () => {
  const pairs = new DescriptorPairs()
  const [first, second] = [await connected(), await connected()]
  const early = pairs.frames('queue-lspawn 1')
  assert.equal(early.descriptors, undefined)
  pairs.descriptors('queue-lspawn 1', first)
  assert.equal(early.descriptors, descriptorOf(first))
  // The same number on another socket is another process.
  assert.equal(pairs.frames('queue-network 1').descriptors, undefined)
  pairs.descriptors('queue-network 2', second)
  const late = pairs.frames('queue-network 2')
  assert.equal(late.descriptors, descriptorOf(second))
  late.end()
  assert.ok(second.destroyed)
  pairs.lost('queue-lspawn 1', first)
  assert.equal(early.descriptors, undefined)
  early.end()
  first.destroy()
})

test('a number that is taken, or none, has no second connection', async () => {
  const pairs = new DescriptorPairs()
  const [first, second] = [await connected(), await connected()]
  pairs.descriptors('queue-network 7', first)
  const owner = pairs.frames('queue-network 7')
  const other = pairs.frames('queue-network 7')
  assert.equal(other.descriptors, undefined)
  other.end()
  pairs.descriptors('queue-network 7', second)
  assert.ok(second.destroyed)
  assert.equal(owner.descriptors, descriptorOf(first))
  assert.equal(pairs.frames(undefined).descriptors, undefined)
  owner.end()
  assert.ok(first.destroyed)
})
