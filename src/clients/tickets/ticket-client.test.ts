import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { type Clock, realClock } from '../../system/clock.ts'
import { connectPath } from '../../system/frame-connection.ts'
import { TicketClient } from './ticket-client.ts'

const peer = { service: 'pop3', remoteIp: '192.0.2.1', remotePort: 1 } as const
const limits = { admitMilliseconds: 10_000, checkMilliseconds: 25_000 }
/** Time limits pass at once. */
const hasty: Clock = { ...realClock, after: (milliseconds, act) => realClock.after(Math.min(milliseconds, 20), act) }

it('lspawn silent or away: nobody is admitted, and the answer is that there was none', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quaver-tickets-'))
  const path = join(directory, 'lspawn-tickets.sock')
  const client = new TicketClient(() => connectPath(path), hasty, limits)
  const noAnswer = { admitted: false, why: 'no-answer' }
  assert.deepEqual(await client.admit('t'.repeat(32), 'anna@x.test', peer), noAnswer)
  const server = createServer((socket) => void socket.resume())
  await new Promise<void>((resolve) => server.listen(path, resolve))
  assert.deepEqual(await client.admit('t'.repeat(32), 'anna@x.test', peer), noAnswer)
  assert.deepEqual(await client.check('t'.repeat(32), 'anna', 'x', peer), noAnswer)
  client.close()
  server.close()
  rmSync(directory, { recursive: true, force: true })
})
