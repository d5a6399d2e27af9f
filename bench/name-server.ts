/** The name server of the bench, in a process of its own: `node bench/name-server.ts DOMAINS [NAME TEXT]…` serves SPF records of
 *  so many sender domains and these TXT records, says its address on its first line, and on SIGTERM how many questions it answered. No list has anybody. */
import { DnsServer } from '../test/kit/dns-server.ts'
import { strangers } from './network.ts'

const domains = Number(process.argv[2] ?? 0)
const server = await DnsServer.listen()
server.set('spf.provider.test', `TXT v=spf1 ip4:${strangers} ~all`)
// As domains have that send through a provider.
for (let n = 0; n < domains; n++) server.set(`d${n}.sender.test`, 'TXT v=spf1 include:spf.provider.test -all')
const [, , , ...more] = process.argv
for (let at = 0; at + 1 < more.length; at += 2) server.set(more[at] ?? '', `TXT ${more[at + 1] ?? ''}`)
console.log(server.server)
process.once('SIGTERM', () => {
  console.log(server.questions.length)
  process.exit(0)
})
