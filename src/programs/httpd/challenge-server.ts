/** An HTTP server for RFC 8555 §8.3, and nothing else: GET of a challenge is its text, all other paths are 404.
 *  Knows:  every limit on a stranger: connections, their time, the length of what they say. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { describeError } from '../../base/outcome.ts'
import { isToken } from '../../protocols/acme/objects.ts'
import { probe } from '../../stores/acme/challenge-files.ts'
import type { Log } from '../../system/log.ts'

const connectionsMax = 100
/** An authority asks at once; who does not is none. */
const requestMillisecondsMax = 10_000
const headerBytesMax: number = 8 * 1024
const path = '/.well-known/acme-challenge/'

/** Undefined: there is no such challenge. */
export type ReadChallenge = (token: string) => Promise<Buffer | undefined>

export function challengeServer(read: ReadChallenge, log: Log): Server {
  const server = createServer(
    {
      maxHeaderSize: headerBytesMax,
      headersTimeout: requestMillisecondsMax,
      requestTimeout: requestMillisecondsMax,
      connectionsCheckingInterval: 1000,
      keepAlive: false,
    },
    (request, response) => void answer(request, response, read, log),
  )
  server.maxConnections = connectionsMax
  server.maxRequestsPerSocket = 1
  // Also while it is sent an answer that it does not read.
  server.setTimeout(requestMillisecondsMax)
  server.on('error', (error) => log(`warning: accept: ${describeError(error)}`))
  return server
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  read: ReadChallenge,
  log: Log,
): Promise<void> {
  const { method, url = '' } = request
  // A body is nobody's affair here.
  request.resume()
  if (method !== 'GET' && method !== 'HEAD') return send(response, 405, 'only GET\n')
  const token = url.startsWith(path) ? url.slice(path.length) : ''
  if (!isToken(token)) return send(response, 404, 'not found\n')
  try {
    const text = await read(token)
    if (text === undefined) return send(response, 404, 'not found\n')
    if (token !== probe.token) log(`challenge ${token} shown to ${request.socket.remoteAddress ?? 'somebody'}`)
    send(response, 200, text)
  } catch (error) {
    log(`alert: challenge ${token}: ${describeError(error)}`)
    send(response, 503, 'not now\n')
  }
}

function send(response: ServerResponse, status: number, body: string | Buffer): void {
  response.writeHead(status, {
    'content-type': status === 200 ? 'application/octet-stream' : 'text/plain',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    connection: 'close',
  })
  response.end(body)
}
