/** Descriptors 0 and 1 as one stream: what tcpserver, inetd or a terminal gives to a program of one session. */
import { type Stats, fstatSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { StreamPair } from './stream-pair.ts'

/** Paused. The process stays while it is open. */
export function standardStream(): Duplex {
  const [input, output] = [facts(0), facts(1)]
  const isOneSocket = input?.isSocket() === true && isSame(input, output)
  if (isOneSocket) return new Socket({ fd: 0, readable: true, writable: true, allowHalfOpen: true })
  return new StreamPair(process.stdin, process.stdout)
}

/** The peer is another host's, and not a file, a pipe or a program of this one. */
export function isFromNetwork(stream: Duplex): boolean {
  return stream instanceof Socket && stream.remoteAddress !== undefined
}

/** False where descriptor 2 is the connection, too, as under inetd: what is written there would reach the peer. */
export function isErrorOutputApart(): boolean {
  const error = facts(2)
  return error !== undefined && ![facts(0), facts(1)].some((one) => one !== undefined && isSame(one, error))
}

function facts(fd: number): Stats | undefined {
  try {
    return fstatSync(fd)
  } catch {
    return undefined
  }
}

function isSame(one: Stats, other: Stats | undefined): boolean {
  return one.dev === other?.dev && one.ino === other.ino
}
