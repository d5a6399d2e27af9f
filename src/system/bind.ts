/** Binds sockets, gives them owner and mode, and listens without accepting, so that they can be passed to a child.
 *  Knows:  numeric addresses, ports, paths of Unix sockets. Never: which program will listen.
 *  Fails:  BindError, whose text says what is taken or forbidden and what to do about it. */
import { chmodSync, chownSync, unlinkSync } from 'node:fs'
import { BoundSocket, createServer, type Server, type Socket } from 'node:net'
import { describeError } from '../base/outcome.ts'
import { errorCode } from './files.ts'
import { listenOnly } from './libc.ts'

/** sockaddr_un holds 108 bytes with the final NUL on Linux, 104 elsewhere. */
const pathBytesMax = process.platform === 'linux' ? 107 : 103

const backlog = 4096

export class BindError extends Error {
  override name = 'BindError'
}

/** A bound socket; it lives as long as this value or any process that inherited its descriptor. */
export interface Bound {
  readonly fd: number
  /** As a person writes it: `127.0.0.1:2525`, `[::]:25`, or the path. */
  readonly address: string
  readonly port: number | undefined
  /** From now on connections wait for a process that accepts them. Where the system has no such call, they are refused
   *  until the first such process listens. */
  listen(): void
  /** Serves it in this process; from then on the server owns the descriptor, and `fd` is not to be used. */
  serve(onConnection: (socket: Socket) => void): Server
  /** Also removes the socket file. */
  close(): void
}

export interface TcpAddress {
  /** Numeric. */
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

export function bindTcp({ host, port }: TcpAddress): Bound {
  const wanted = showAddress({ host, port })
  try {
    const socket = new BoundSocket({ host, port, ipv6Only: host.includes(':') })
    const bound = { host, port: socket.address().port }
    return boundSocket(socket, showAddress(bound), bound.port, () => undefined)
  } catch (error) {
    throw new BindError(tcpTrouble(errorCode(error), wanted, port, describeError(error)))
  }
}

/** A socket file that is there already is removed: the caller has made sure that no process uses it.
 *  `uid` and `gid` are set only if given. */
export function bindPath(path: string, mode: number, owner?: { readonly uid: number; readonly gid: number }): Bound {
  const bytes = Buffer.byteLength(path)
  if (bytes > pathBytesMax) {
    const reason = `${path}: ${bytes} bytes; the system takes socket names of up to ${pathBytesMax}`
    throw new BindError(`${reason}. Choose a home with a shorter path`)
  }
  try {
    remove(path)
    // `path` is not in the documentation of BoundSocket, but in its code.
    const options: object = { path }
    const socket = new BoundSocket(options)
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
    chmodSync(path, mode)
    return boundSocket(socket, path, undefined, () => remove(path))
  } catch (error) {
    throw new BindError(`${path}: ${describeError(error)}`)
  }
}

/** `127.0.0.1:25`, `[::1]:25`; undefined if it is neither. */
export function parseAddress(text: string): TcpAddress | undefined {
  const found = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):(\d{1,5})$/.exec(text)
  const host = found?.[1] ?? found?.[2]
  const port = Number(found?.[3])
  return host === undefined || port > 65535 ? undefined : { host, port }
}

function boundSocket(socket: BoundSocket, address: string, port: number | undefined, clear: () => void): Bound {
  let server: Server | undefined
  return {
    fd: socket.fd(),
    address,
    port,
    listen() {
      // The only refusal that a bound socket meets: two may bind a port, but only one may listen.
      if (listenOnly(socket.fd(), backlog) === 'refused')
        throw new BindError(tcpTrouble('EADDRINUSE', address, port ?? 0, ''))
    },
    serve(onConnection) {
      server = createServer(onConnection).listen(socket)
      return server
    },
    close() {
      clear()
      if (server === undefined) socket.close()
      else server.close()
    },
  }
}

function showAddress({ host, port }: TcpAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function tcpTrouble(code: string, wanted: string, port: number, text: string): string {
  if (code === 'EADDRINUSE')
    return `port ${port} is taken (${wanted}): 'ss -ltnp sport = :${port}' shows by whom; stop that program, or use another port`
  if (code === 'EACCES') return `${wanted}: only root may use a port below 1024`
  if (code === 'EADDRNOTAVAIL') return `${wanted}: no such address on this machine`
  return `${wanted}: ${text}`
}

function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}
