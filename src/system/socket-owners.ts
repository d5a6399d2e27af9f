/** The uid of the program at the other end of a TCP connection on this machine, by the kernel's table of sockets (Linux).
 *  Knows:  that a long table is dear: reading it takes at most a hundredth of this process's time.
 *  Fails:  undefined where that is unknown (no such table, one that is too long, or one read too recently). */
import { closeSync, openSync, readSync } from 'node:fs'
import { endianness } from 'node:os'
import ipaddr from 'ipaddr.js'
import type { Clock } from './clock.ts'

const tables = ['/proc/self/net/tcp', '/proc/self/net/tcp6'] as const
const tableBytesMax: number = 2 * 1024 * 1024
/** After a reading the next one waits for so many times as long as it took. */
const restFactor = 100

/** The end that the peer has, and ours. */
export interface ConnectionEnds {
  readonly remoteIp: string
  readonly remotePort: number
  readonly localPort: number
}

export class SocketOwners {
  private readonly clock: Clock
  private readonly read: (path: string, bytesMax: number) => string | undefined
  private restUntil = 0

  /** `read`: for tests; as text, undefined if there is no such file or it is longer. */
  constructor(clock: Clock, read: (path: string, bytesMax: number) => string | undefined = tableReader()) {
    this.clock = clock
    this.read = read
  }

  /** The uid. `remoteIp`: an address of this machine. */
  ownerOf({ remoteIp, remotePort, localPort }: ConnectionEnds): number | undefined {
    const began = this.clock.monotonic()
    if (began < this.restUntil || !ipaddr.isValid(remoteIp)) return undefined
    const from = `${addressIn(remoteIp)}:${portIn(remotePort)}`
    const owner = tables
      .map((path) => ownerIn(this.read(path, tableBytesMax) ?? '', from, portIn(localPort)))
      .find((uid) => uid !== undefined)
    const now = this.clock.monotonic()
    this.restUntil = now + (now - began) * restFactor
    return owner
  }
}

/** `from`: how the table ends the peer's own address and port. */
function ownerIn(table: string, from: string, localPort: string): number | undefined {
  let at = table.indexOf(`${from} `)
  for (; at !== -1; at = table.indexOf(`${from} `, at + 1)) {
    const end = table.indexOf('\n', at)
    // Behind the peer's end: ours, the state, queues, timer, retransmissions, uid.
    const [, remote = '', , , , , uid = ''] = table.slice(at, end === -1 ? undefined : end).split(/ +/)
    if (remote.endsWith(`:${localPort}`) && /^\d+$/.test(uid)) return Number(uid)
  }
  return undefined
}

/** The table has addresses as 32-bit words in the machine's order. An IPv4 address is also the end of one that is mapped to
 *  IPv6. */
function addressIn(ip: string): string {
  const bytes = Buffer.from(ipaddr.process(ip).toByteArray())
  if (endianness() === 'LE') bytes.swap32()
  return bytes.toString('hex').toUpperCase()
}

function portIn(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0')
}

/** Keeps its buffer, whose pages cost nothing until a table needs them. */
function tableReader(): (path: string, bytesMax: number) => string | undefined {
  let table = Buffer.alloc(0)
  return (path, bytesMax) => {
    if (table.length !== bytesMax) table = Buffer.allocUnsafe(bytesMax)
    try {
      const fd = openSync(path, 'r')
      try {
        let length = 0
        // A file of the kernel's has no size, and comes in pieces.
        for (;;) {
          const count = readSync(fd, table, length, bytesMax - length, null)
          if (count === 0) return table.toString('latin1', 0, length)
          length += count
          if (length === bytesMax) return undefined
        }
      } finally {
        closeSync(fd)
      }
    } catch {
      return undefined
    }
  }
}
