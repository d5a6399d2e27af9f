/** tcp-env(1): puts the peer of descriptor 0 into the environment, for programs under inetd, and becomes the next one.
 *  Never:  asks an identd (RFC 1413): `-r` and `-t` have no effect.
 *  Fails:  after DNS trouble the name is `softdnserror`, as in qmail. */
import ipaddr from 'ipaddr.js'
import type { ByteString } from '../../base/byte-string.ts'
import { asHostName, type RecordDns } from '../../clients/dns/dns.ts'
import { reverseName } from '../../protocols/dns/reverse-name.ts'
import { realClock } from '../../system/clock.ts'
import { type SocketEnd, socketEnd } from '../../system/libc.ts'
import type { Call, Variables } from './call.ts'
import { becomeNext } from './front-programs.ts'
import { parseOptions } from './options.ts'

const usage = 'tcp-env: usage: tcp-env [ -rR ] [ -ttimeout ] program [ arg ... ]'

export async function tcpEnv(call: Call): Promise<number> {
  const { operands } = parseOptions(call.args, 'rRt:', 'tcp-env', usage)
  // A program that sets PROTO has set the others, too.
  if (call.variables.get('PROTO') === 'TCP') return await becomeNext(call, operands)
  const { SystemDns } = await import('../../clients/dns/resolver.ts')
  const ends = { local: socketEnd(0, 'local'), remote: socketEnd(0, 'remote') }
  return await becomeNext(call, operands, await variablesFor(call.variables, ends, new SystemDns(realClock)))
}

export async function variablesFor(
  given: Variables,
  ends: { readonly local: SocketEnd | undefined; readonly remote: SocketEnd | undefined },
  dns: Pick<RecordDns, 'ptr'>,
): Promise<Variables> {
  const variables = new Map(given).set('PROTO', 'TCP')
  variables.delete('TCPREMOTEINFO')
  for (const [which, prefix] of [
    ['local', 'TCPLOCAL'],
    ['remote', 'TCPREMOTE'],
  ] as const) {
    const end = ends[which]
    for (const fact of ['IP', 'PORT', 'HOST']) variables.delete(`${prefix}${fact}`)
    if (end === undefined) continue
    const address = ipaddr.process(ipaddr.fromByteArray([...end.address]).toString())
    variables.set(`${prefix}IP`, address.toString()).set(`${prefix}PORT`, String(end.port))
    const name = await nameOf(address.toByteArray(), dns)
    if (name !== undefined) variables.set(`${prefix}HOST`, name)
  }
  return variables
}

async function nameOf(address: readonly number[], dns: Pick<RecordDns, 'ptr'>): Promise<ByteString | undefined> {
  const answer = await dns.ptr(reverseName(address))
  if (answer.kind === 'soft') return 'softdnserror'
  return answer.kind === 'found' ? asHostName(answer.values[0] ?? '') : undefined
}
