import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { realClock } from './clock.ts'
import { SocketOwners } from './socket-owners.ts'
import { FakeClock } from '#test/kit/smtpd.ts'

const header = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'

describe('the owner of a connection on this machine', () => {
  for (const host of ['127.0.0.1', '::1'])
    it(`is found in the kernel’s table: ${host}`, {
      skip: !existsSync('/proc/self/net/tcp') && 'Linux has it',
    }, async (t) => {
      const server = createServer().listen(0, host)
      t.after(() => server.close())
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const client = connect(port, host)
      t.after(() => client.destroy())
      const [accepted] = (await once(server, 'connection')) as [Socket]
      t.after(() => accepted.destroy())
      const ends = { remoteIp: host, remotePort: accepted.remotePort ?? 0, localPort: port }
      assert.equal(new SocketOwners(realClock).ownerOf(ends), process.getuid?.())
      assert.equal(new SocketOwners(realClock).ownerOf({ ...ends, localPort: port + 1 }), undefined)
      assert.equal(new SocketOwners(realClock).ownerOf({ ...ends, remoteIp: '127.0.0.99' }), undefined)
    })

  it('is not looked for again at once where the table is long', () => {
    const clock = new FakeClock()
    let reads = 0
    const row = '   0: 0100007F:1F90 0100007F:0019 01 00000000:00000000 00:00000000 00000000  1000        0 1 1 0\n'
    const owners = new SocketOwners(clock, (path) => {
      reads++
      clock.advance(5)
      return path.endsWith('tcp') ? header + row : undefined
    })
    const ends = { remoteIp: '127.0.0.1', remotePort: 8080, localPort: 25 }
    assert.equal(owners.ownerOf(ends), 1000)
    assert.equal(owners.ownerOf(ends), undefined)
    assert.equal(reads, 2)
    clock.advance(1000)
    assert.equal(owners.ownerOf(ends), 1000)
  })
})
