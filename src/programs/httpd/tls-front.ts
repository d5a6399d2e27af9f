/** TLS in front of a page server: handshakes with the certificates of `start`, within the time limit of a request.
 *  Fails:  an error on a connection ends only that connection. */
import { once } from 'node:events'
import type { Server as PageServer } from 'node:http'
import type { Server, Socket } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import type { Clock } from '../../system/clock.ts'
import { serveDescriptor } from '../../system/frame-connection.ts'
import type { Log } from '../../system/log.ts'
import type { ServerTls } from '../../system/server-tls.ts'
import { connectionsMax, requestMillisecondsMax } from './page-server.ts'

const protocol = 'http/1.1'

export async function serveWithTls(
  fd: number,
  pages: PageServer,
  tls: ServerTls,
  clock: Clock,
  log: Log,
): Promise<Server> {
  const server = serveDescriptor(fd, (socket) => accept(socket, pages, tls, clock))
  server.maxConnections = connectionsMax
  server.on('error', (error) => log(`warning: accept: ${describeError(error)}`))
  if (!server.listening) await once(server, 'listening')
  return server
}

function accept(socket: Socket, pages: PageServer, tls: ServerTls, clock: Clock): void {
  const cancel = clock.after(requestMillisecondsMax, () => socket.destroy())
  socket.on('close', cancel)
  socket.on('error', () => socket.destroy())
  const secure = tls.secure(socket, protocol)
  secure.on('error', () => socket.destroy())
  secure.once('secure', () => pages.emit('connection', secure))
}
