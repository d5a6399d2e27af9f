/** What tcpserver and its kin say of the client of a program that they have started. */
import { fromText } from '../../base/byte-string.ts'
import type { Environment } from '../listener/peer.ts'

const facts = ['REMOTEIP', 'REMOTEPORT', 'REMOTEHOST', 'REMOTEINFO', 'LOCALIP', 'LOCALPORT', 'LOCALHOST'] as const

/** A fact named only by its protocol (PROTO: `TCP6`, `SSL`) is also set under TCP's name. */
export function inheritedEnvironment(variables: Readonly<Record<string, string | undefined>>): Environment {
  const environment = new Map<string, string>()
  for (const [name, value] of Object.entries(variables)) if (value !== undefined) environment.set(name, fromText(value))
  const protocol = environment.get('PROTO') ?? 'TCP'
  for (const fact of facts) {
    const said = environment.get(`${protocol}${fact}`)
    if (said !== undefined && !environment.has(`TCP${fact}`)) environment.set(`TCP${fact}`, said)
  }
  return environment
}
