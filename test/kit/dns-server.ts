/** A name server that says what a test tells it, over UDP and TCP on one loopback port (RFC 1035 §4).
 *  Knows:  A, AAAA, MX, CNAME, TXT, PTR, TLSA records, response codes, truncation, names whose answers are said to be verified.
 *  Never:  recurses. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, isIPv4, type Server, type Socket } from 'node:net'

const types = { A: 1, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28, TLSA: 52 } as const
type RecordType = keyof typeof types

/** `10 mx.test` for MX (`0 .` is the null MX), an address for A and AAAA, a name for CNAME and PTR, any text for TXT,
 *  `3 1 1 0a1b…` for TLSA. */
interface Entry {
  readonly type: RecordType
  readonly value: string
}

/** What becomes of a question for this name; `malformed`: an answer that ends in the middle of a record, at once. */
export type Fate = 'SERVFAIL' | 'NXDOMAIN' | 'REFUSED' | 'malformed' | readonly Entry[]

const codes: Readonly<Record<string, number>> = { SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 }
const udpBytesMax = 512

export class DnsServer {
  /** `udp mx.test A`, in order. */
  readonly questions: string[] = []
  /** Of every record. */
  ttlSeconds = 60
  /** How long every answer takes, but a malformed one. */
  delayMilliseconds = 0
  /** AD is set in answers about them, as a resolver does that has verified them; and about names that do not exist below them. */
  readonly signed = new Set<string>()
  private readonly names = new Map<string, Fate>()
  private readonly types = new Map<string, Fate>()
  private readonly udp: UdpSocket
  private readonly tcp: Server
  private readonly sockets = new Set<Socket>()

  private constructor(udp: UdpSocket, tcp: Server) {
    this.udp = udp
    this.tcp = tcp
    udp.on('message', (query, peer) => {
      const { answer, delay } = this.answer(query, 'udp')
      if (delay === 0) udp.send(answer, peer.port, peer.address)
      else setTimeout(() => udp.send(answer, peer.port, peer.address), delay)
    })
    tcp.on('connection', (socket) => this.serve(socket))
  }

  static async listen(host = '127.0.0.1', port = 0): Promise<DnsServer> {
    const tcp = createServer()
    tcp.listen(port, host)
    await once(tcp, 'listening')
    const address = tcp.address()
    if (address === null || typeof address === 'string') throw new Error('not listening')
    const udp = createSocket('udp4')
    udp.bind(address.port, host)
    await once(udp, 'listening')
    return new DnsServer(udp, tcp)
  }

  get server(): string {
    return `127.0.0.1:${this.udp.address().port}`
  }

  /** Records by name, one string each: `MX 10 mx.test`, `A 192.0.2.1`. Unknown names do not exist. */
  set(name: string, ...records: string[]): this {
    return this.setFate(
      name,
      records.map((record) => {
        const space = record.indexOf(' ')
        return { type: record.slice(0, space) as RecordType, value: record.slice(space + 1) }
      }),
    )
  }

  setFate(name: string, fate: Fate): this {
    this.names.set(name, fate)
    return this
  }

  /** For questions of one type only. */
  setTypeFate(name: string, type: RecordType, fate: Fate): this {
    this.types.set(`${name} ${type}`, fate)
    return this
  }

  close(): void {
    this.udp.close()
    this.tcp.close()
    for (const socket of this.sockets) socket.destroy()
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket)
    socket.on('close', () => this.sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    let input = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      input = Buffer.concat([input, chunk])
      while (input.length >= 2 && input.length >= 2 + input.readUInt16BE()) {
        const end = 2 + input.readUInt16BE()
        const { answer } = this.answer(input.subarray(2, end), 'tcp')
        input = input.subarray(end)
        socket.write(Buffer.concat([u16(answer.length), answer]))
      }
    })
  }

  private answer(query: Buffer, by: 'udp' | 'tcp'): { answer: Buffer; delay: number } {
    const { name, end } = readName(query, 12)
    const type = query.readUInt16BE(end)
    const typeName = Object.entries(types).find(([, code]) => code === type)?.[0] ?? String(type)
    this.questions.push(`${by} ${name} ${typeName}`)
    const fate = this.types.get(`${name} ${typeName}`) ?? this.names.get(name) ?? 'NXDOMAIN'
    const code = typeof fate === 'string' ? (codes[fate] ?? 0) : 0
    const records = typeof fate === 'string' ? [] : this.follow(name, fate, type)
    const question = query.subarray(12, end + 4)
    if (fate === 'malformed') return { answer: message(query, 0, question, [Buffer.of(0xc0, 0x0c, 0)], 0), delay: 0 }
    // Only who asks for it is told (RFC 6840 §5.7).
    const isAuthentic = this.isSigned(name) && ((query[3] ?? 0) & 0x20) !== 0
    const whole = message(query, code, question, records, isAuthentic ? 0x20 : 0)
    const isCut = by === 'udp' && whole.length > udpBytesMax
    return { answer: isCut ? message(query, code, question, [], 0x0200) : whole, delay: this.delayMilliseconds }
  }

  private isSigned(name: string): boolean {
    return [...this.signed].some((signed) => name === signed || name.endsWith(`.${signed}`))
  }

  /** A resolver answers a CNAME together with what it leads to. */
  private follow(name: string, entries: readonly Entry[], type: number): Buffer[] {
    return entries.flatMap((entry) => {
      if (types[entry.type] === type) return [encodeRecord(name, entry, this.ttlSeconds)]
      if (entry.type !== 'CNAME') return []
      const target = this.names.get(entry.value)
      const rest = typeof target === 'object' ? this.follow(entry.value, target, type) : []
      return [encodeRecord(name, entry, this.ttlSeconds), ...rest]
    })
  }
}

function message(
  query: Buffer,
  code: number,
  question: Buffer,
  records: readonly Buffer[],
  extraFlags: number,
): Buffer {
  const flags = 0x8180 | extraFlags | code
  const counts = [u16(1), u16(records.length), u16(0), u16(0)]
  return Buffer.concat([query.subarray(0, 2), u16(flags), ...counts, question, ...records])
}

function encodeRecord(name: string, { type, value }: Entry, ttlSeconds: number): Buffer {
  const data = dataOf(type, value)
  const ttl = Buffer.alloc(4)
  ttl.writeUInt32BE(ttlSeconds)
  return Buffer.concat([writeName(name), u16(types[type]), u16(1), ttl, u16(data.length), data])
}

function dataOf(type: RecordType, value: string): Buffer {
  if (type === 'A' && isIPv4(value)) return Buffer.from(value.split('.').map(Number))
  if (type === 'AAAA') return Buffer.from(value.split(':').flatMap((group) => [...u16(Number.parseInt(group, 16))]))
  if (type === 'CNAME' || type === 'PTR') return writeName(value)
  if (type === 'TXT') return Buffer.concat((value.match(/.{1,255}/gs) ?? ['']).flatMap(characterString))
  if (type === 'TLSA') {
    const [usage, selector, matching, data = ''] = value.split(' ')
    return Buffer.concat([Buffer.from([Number(usage), Number(selector), Number(matching)]), Buffer.from(data, 'hex')])
  }
  const [preference, exchange] = value.split(' ')
  return Buffer.concat([u16(Number(preference)), writeName(exchange ?? '')])
}

function characterString(text: string): Buffer[] {
  return [Buffer.of(text.length), Buffer.from(text, 'latin1')]
}

function readName(bytes: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = []
  let at = start
  for (let length = bytes[at] ?? 0; length > 0; length = bytes[at] ?? 0) {
    labels.push(bytes.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 }
}

function writeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '')
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])),
    Buffer.of(0),
  ])
}

function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 255)
}
