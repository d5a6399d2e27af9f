/** Variables about a client, as tcpserver and its kin set them (tcp-environ(5)). */
import type { ByteString } from '../../base/byte-string.ts'

/** Empty: unknown. */
export function clientIp(variables: ReadonlyMap<string, ByteString>): ByteString {
  return variables.get('TCPREMOTEIP') ?? variables.get('TCP6REMOTEIP') ?? ''
}
