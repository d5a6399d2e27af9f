/** An HTTP server for a few pages: GET returns a page's text, all other paths are 404, and then the connection ends.
 *  Knows:  every limit on a client: connections, their time, the length of a request. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { describeError } from '../../base/outcome.ts'
import type { Log } from '../../system/log.ts'

/** At once, on each listening socket. */
export const connectionsMax = 100
/** Authorities and mail servers send their request at once. */
export const requestMillisecondsMax = 10_000
const headerBytesMax: number = 8 * 1024

export interface Page {
  readonly body: string | Buffer
  readonly type: 'application/octet-stream' | 'text/plain'
}

/** `host`: the Host field without its port, in lower case. Undefined: there is no such page. */
export type FindPage = (host: string, path: string, client: string) => Promise<Page | undefined>

export function pageServer(find: FindPage, log: Log): Server {
  const server = createServer(
    {
      maxHeaderSize: headerBytesMax,
      headersTimeout: requestMillisecondsMax,
      requestTimeout: requestMillisecondsMax,
      connectionsCheckingInterval: 1000,
      keepAlive: false,
    },
    (request, response) => void answer(request, response, find, log),
  )
  server.maxConnections = connectionsMax
  server.maxRequestsPerSocket = 1
  // Also limits a client that does not read its answer.
  server.setTimeout(requestMillisecondsMax)
  server.on('error', (error) => log(`warning: accept: ${describeError(error)}`))
  return server
}

async function answer(request: IncomingMessage, response: ServerResponse, find: FindPage, log: Log): Promise<void> {
  const { method, url = '', headers, socket } = request
  // A body is read and ignored.
  request.resume()
  if (method !== 'GET' && method !== 'HEAD') return send(response, 405, text('only GET\n'))
  try {
    const host = (headers.host ?? '').replace(/:\d*$/, '').toLowerCase()
    const page = await find(host, url, socket.remoteAddress ?? 'somebody')
    if (page === undefined) return send(response, 404, text('not found\n'))
    send(response, 200, page)
  } catch (error) {
    log(`alert: ${url}: ${describeError(error)}`)
    send(response, 503, text('not now\n'))
  }
}

function text(body: string): Page {
  return { body, type: 'text/plain' }
}

function send(response: ServerResponse, status: number, { body, type }: Page): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    connection: 'close',
  })
  response.end(body)
}
