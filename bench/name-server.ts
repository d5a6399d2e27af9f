/** The name server of the bench, in a process of its own: `node bench/name-server.ts DOMAINS` serves SPF records of so many
 *  sender domains, says its address on its first line, and on SIGTERM how many questions it answered. No list has anybody. */
import { DnsServer } from '../test/kit/dns-server.ts'
import { strangers } from './network.ts'

const domains = Number(process.argv[2] ?? 0)
const server = await DnsServer.listen()
server.set('spf.provider.test', `TXT v=spf1 ip4:${strangers} ~all`)
for (let n = 0; n < domains; n++)
  server
    .set(senderDomain(n), 'TXT v=spf1 mx include:spf.provider.test -all', `MX 10 mx.${senderDomain(n)}`)
    .set(`mx.${senderDomain(n)}`, 'A 192.0.2.25')
console.log(server.server)
process.once('SIGTERM', () => {
  console.log(server.questions.length)
  process.exit(0)
})

function senderDomain(n: number): string {
  return `d${n}.sender.test`
}
