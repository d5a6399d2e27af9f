import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { decodePolicyNotice, encodePolicyReply } from '../../contracts/policy.ts'
import { realClock } from '../../system/clock.ts'
import { connectPath, FrameConnection } from '../../system/frame-connection.ts'
import { Correspondents } from './correspondents.ts'

describe('whom we write to', () => {
  it('is told of once, but not of bounces and reports; and again if nobody heard it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-met-'))
    const path = join(directory, 's')
    const heard: string[] = []
    let tries = 0
    const correspondents = new Correspondents({
      clock: realClock,
      connect: () => (tries++ === 0 ? Promise.reject(new Error('away')) : connectPath(path)),
      reportAddress: () => 'r@us.test',
    })
    const server = await serving(path, heard)
    try {
      correspondents.met('a@us.test', 'Early.test')
      await new Promise((resolve) => setImmediate(resolve))
      // It is tried again when the back-off is over.
      while (!heard.includes('early.test')) {
        correspondents.met('a@us.test', 'early.test')
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      for (const sender of ['', '#@[]', 'r@us.test', 'a@us.test', 'a@us.test']) correspondents.met(sender, 'x.test')
      correspondents.met('b@us.test', 'y.test')
      while (!heard.includes('y.test')) await new Promise((resolve) => setTimeout(resolve, 10))
      assert.deepEqual(heard, ['early.test', 'x.test', 'y.test'])
    } finally {
      correspondents.close()
      server.close()
      rmSync(directory, { recursive: true })
    }
  })
})

async function serving(path: string, heard: string[]): Promise<Server> {
  const server = createServer((socket) => {
    const connection = new FrameConnection(socket, {
      onFrame(frame) {
        const notice = decodePolicyNotice(frame)
        if (notice?.kind === 'sent') heard.push(...notice.domains)
      },
      onClose: () => undefined,
    })
    connection.send(encodePolicyReply({ kind: 'serving' }))
  })
  server.listen(path)
  await once(server, 'listening')
  return server
}
