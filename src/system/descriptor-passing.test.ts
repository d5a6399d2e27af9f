import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { canPassDescriptors, receiveDescriptor, sendDescriptor } from './descriptor-passing.ts'
import { descriptorOf } from './descriptors.ts'

const skip = canPassDescriptors() ? false : 'descriptors cannot be passed here'
let directory = ''
before(() => (directory = mkdtempSync(join(tmpdir(), 'quaver-passing-'))))
after(() => rmSync(directory, { recursive: true }))

/** Two ends of a Unix socket from which nobody reads. */
async function pair(name: string): Promise<{ ends: [number, number]; close(): void }> {
  const path = join(directory, name)
  const server = createServer({ pauseOnConnect: true }).listen(path)
  await once(server, 'listening')
  const client = connect(path)
  client.pause()
  const [accepted] = (await once(server, 'connection')) as [Socket]
  const ends: [number, number] = [descriptorOf(accepted) ?? -1, descriptorOf(client) ?? -1]
  return {
    ends,
    close() {
      accepted.destroy()
      client.destroy()
      server.close()
    },
  }
}

test('open files arrive in order, with their tags', { skip }, async () => {
  const { ends, close } = await pair('order')
  for (const text of ['first', 'second']) writeFileSync(join(directory, text), text)
  for (const [index, text] of ['first', 'second'].entries()) {
    const fd = openSync(join(directory, text), 'r')
    assert.equal(sendDescriptor(ends[0], fd, 0xffff_fff0 + index), true)
    closeSync(fd)
    rmSync(join(directory, text))
  }
  for (const [index, text] of ['first', 'second'].entries()) {
    const passed = receiveDescriptor(ends[1])
    assert.ok(passed !== undefined)
    assert.equal(passed.tag, 0xffff_fff0 + index)
    assert.equal(readFileSync(passed.fd, 'utf8'), text)
    // A program that is started now does not have it.
    const look = spawnSync('readlink', [`/proc/self/fd/${passed.fd}`], { encoding: 'utf8' })
    assert.doesNotMatch(look.stdout, new RegExp(text))
    closeSync(passed.fd)
  }
  assert.equal(receiveDescriptor(ends[1]), undefined)
  close()
})

test('where nobody listens, or where there is no socket, nothing is sent', { skip }, async () => {
  const { ends, close } = await pair('gone')
  const fd = openSync(join(directory, 'file'), 'w+')
  assert.equal(sendDescriptor(fd, fd, 1), false)
  assert.equal(receiveDescriptor(fd), undefined)
  assert.equal(sendDescriptor(ends[0], 9999, 1), false)
  closeSync(fd)
  close()
})

test('bytes without a descriptor are none', { skip }, async () => {
  const { ends, close } = await pair('bytes')
  writeFileSync(ends[0], 'abcd')
  assert.equal(receiveDescriptor(ends[1]), undefined)
  close()
})
