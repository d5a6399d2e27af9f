/** The connections of those who want to see the queue: each gets the listing, and the end.
 *  Knows:  tcpserver's lines about them, how many there may be, how long one may take to read.
 *  Never:  reads what they say.
 *  Fails:  a queue that does not answer ends the listing where it is; the log says why. */
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { ConnectionLog, waitStatus } from '../../servers/listener/connection-log.ts'
import { baseEnvironment, type Host, plainIp } from '../../servers/listener/peer.ts'
import type { Log } from '../../system/log.ts'

/** Connections at once, as tcpserver's. */
const connectionsMax = 40
/** A page that is not read for so long ends its connection. */
const idleMillisecondsMax = 60_000

export class Visits {
  private readonly open = new Set<Socket>()
  private readonly host: Pick<Host, 'me'>
  private readonly log: Log
  private readonly lines: ConnectionLog
  private readonly listing: () => AsyncIterable<ByteString>
  private numbered = 0

  constructor(host: Pick<Host, 'me'>, log: Log, listing: () => AsyncIterable<ByteString>) {
    this.host = host
    this.log = log
    this.lines = new ConnectionLog(log, connectionsMax)
    this.listing = listing
  }

  accept(socket: Socket): void {
    const { remoteAddress, remotePort = 0, localAddress, localPort = 0 } = socket
    // The peer left while it waited in the backlog.
    if (remoteAddress === undefined || this.open.size >= connectionsMax) return void socket.destroy()
    const number = ++this.numbered
    const peer = { remoteIp: plainIp(remoteAddress), remotePort, localIp: plainIp(localAddress), localPort }
    this.open.add(socket)
    this.lines.begins(number, peer.remoteIp, this.open.size)
    this.lines.decided('ok', number, peer, baseEnvironment(peer, this.host))
    void this.show(socket, peer.remoteIp).then((status) => {
      this.open.delete(socket)
      this.lines.ended(number, status, this.open.size)
    })
  }

  /** What is shown just now is cut off: it can be asked for again. */
  close(): void {
    for (const socket of this.open) socket.destroy()
  }

  private async show(socket: Socket, ip: string): Promise<number> {
    // What a peer says is dropped: unread, it would turn the end of the listing into a reset. It may have said all at once.
    socket.allowHalfOpen = true
    socket.resume()
    // Also behind the end of the listing, where nobody waits for it any more.
    socket.on('error', () => undefined)
    socket.setTimeout(idleMillisecondsMax, () => socket.destroy(new Error('does not read')))
    try {
      await pipeline(Readable.from(bytesOf(this.listing())), socket)
      return waitStatus.done
    } catch (error) {
      this.log(`warning: listing for ${ip} broke off: ${describeError(error)}`)
      return waitStatus.trouble
    }
  }
}

async function* bytesOf(texts: AsyncIterable<ByteString>): AsyncGenerator<Buffer> {
  for await (const text of texts) yield Buffer.from(text, 'latin1')
}
