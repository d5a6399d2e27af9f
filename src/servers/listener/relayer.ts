/** Identifies a client that may relay, so that the queue can count its slots: a user of this machine by uid, others by address
 *  (of IPv6, by network). */
import type { ByteString } from '../../base/byte-string.ts'
import { type Environment, isLoopback, peerKey } from './peer.ts'
import type { SocketOwners } from '../../system/socket-owners.ts'

export function relayerIn(environment: Environment, owners: Pick<SocketOwners, 'ownerOf'>): ByteString {
  const remoteIp = environment.get('TCPREMOTEIP') ?? ''
  if (!isLoopback(remoteIp)) return peerKey(remoteIp)
  const [remotePort, localPort] = [environment.get('TCPREMOTEPORT'), environment.get('TCPLOCALPORT')].map(Number)
  const uid = owners.ownerOf({ remoteIp, remotePort: remotePort ?? 0, localPort: localPort ?? 0 })
  return uid === undefined ? remoteIp : String(uid)
}
