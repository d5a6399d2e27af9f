/** The connections of qread's clients: each gets the listing, then is closed.
 *  Knows:  tcpserver's log lines, the number of connections, how long a client may take to read.
 *  Never:  uses input from them.
 *  Fails:  if the queue does not answer, the listing ends there; the log says why. */
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { ConnectionLog, waitStatus } from '../../servers/listener/connection-log.ts'
import { baseEnvironment, type Host, plainIp } from '../../servers/listener/peer.ts'
import type { Log } from '../../system/log.ts'

/** Connections at once: tcpserver's default. */
const connectionsMax = 40
/** A client that reads nothing for this long is disconnected. */
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

  /** Cuts off running listings: clients can ask again. */
  close(): void {
    for (const socket of this.open) socket.destroy()
  }

  private async show(socket: Socket, ip: string): Promise<number> {
    // Input is read and dropped: unread, it would turn the end into a reset. The peer may have half-closed already.
    socket.allowHalfOpen = true
    socket.resume()
    // Handles errors after the end of the listing, too.
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
