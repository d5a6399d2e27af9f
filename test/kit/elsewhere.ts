/** A process of its own: the rest of the Internet, for a machine in a network of its own. It has a name server and a mail
 *  server that takes everything, and sends what it is told to. Speaks JSON, a line each, on standard input and output.
 *  Its arguments: its own address, and the records of its zone, `name TYPE value`. */
import { createInterface } from 'node:readline'
import { DnsServer } from './dns-server.ts'
import { Sink } from './sink.ts'
import { SmtpClient } from './smtp-client.ts'

const [address = '', ...records] = process.argv.slice(2)
const dns = await DnsServer.listen(address, 53)
const zone = new Map<string, string[]>()
for (const record of records) {
  const [name = '', ...rest] = record.split(' ')
  zone.set(name, [...(zone.get(name) ?? []), rest.join(' ')])
}
for (const [name, of] of zone) dns.set(name, ...of)
const sink = await Sink.listen(25, address)
tell({ ready: true })

interface Order {
  readonly host: string
  readonly from: string
  readonly to: string
  readonly content: string
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'received') {
    await sink.count(1)
    tell(sink.transactions.map(({ from, to, content }) => ({ from, to, content: content.toString('latin1') })))
    continue
  }
  const { host, from, to, content } = JSON.parse(line) as Order
  try {
    const client = await SmtpClient.connect(25, host)
    await client.expect(220)
    await client.command('EHLO elsewhere.test', 250)
    tell(await client.transaction({ from, to: [to], content }))
    await client.quit()
  } catch (error) {
    tell({ code: 0, lines: [String(error)] })
  }
}
process.exit(0)

function tell(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}
