/** The environment of a session without rules, and the Received field that a session puts on top of a message. */
import type { ByteString } from '../../base/byte-string.ts'
import { receivedField } from '../../protocols/smtp/received.ts'
import { baseEnvironment, type Environment, type Host, type Peer } from '../../servers/listener/peer.ts'

/** RELAYCLIENT is set, even if empty, for clients that may relay: its value is appended to each of their recipients. Uses
 *  control/relayclients alone; servers/listener/admission.ts uses the rules, too. */
export function connectionEnvironment(peer: Peer, host: Host): Environment {
  const environment = new Map(baseEnvironment(peer, host))
  if (host.mayRelay(peer.remoteIp)) environment.set('RELAYCLIENT', '')
  return environment
}

export function receivedFor(env: Environment, helo: ByteString, protocol: string, milliseconds: number): ByteString {
  return receivedField({
    remoteHost: env.get('TCPREMOTEHOST') ?? 'unknown',
    remoteIp: env.get('TCPREMOTEIP') ?? 'unknown',
    remoteInfo: env.get('TCPREMOTEINFO'),
    helo,
    local: env.get('TCPLOCALHOST') ?? env.get('TCPLOCALIP') ?? 'unknown',
    protocol,
    milliseconds,
  })
}
