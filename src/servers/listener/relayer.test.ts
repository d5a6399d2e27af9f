import assert from 'node:assert/strict'
import { it } from 'node:test'
import { baseEnvironment } from './peer.ts'
import type { ConnectionEnds } from '../../system/socket-owners.ts'
import { relayerIn } from './relayer.ts'

it('a relay client is a user of this machine by his uid, or the network that he comes from', () => {
  const asked: ConnectionEnds[] = []
  const owners = (uid: number | undefined) => ({
    ownerOf(ends: ConnectionEnds) {
      asked.push(ends)
      return uid
    },
  })
  const from = (remoteIp: string) =>
    baseEnvironment({ remoteIp, remotePort: 4711, localIp: '127.0.0.1', localPort: 25 }, { me: 'me.test' })
  assert.equal(relayerIn(from('192.0.2.7'), owners(7)), '192.0.2.7')
  assert.equal(relayerIn(from('2001:db8:1:2:3::4'), owners(7)), relayerIn(from('2001:db8:1:2::9'), owners(7)))
  assert.deepEqual(asked, [])
  assert.equal(relayerIn(from('127.0.0.1'), owners(1000)), '1000')
  assert.deepEqual(asked, [{ remoteIp: '127.0.0.1', remotePort: 4711, localPort: 25 }])
  assert.equal(relayerIn(from('::1'), owners(undefined)), '::1')
})
