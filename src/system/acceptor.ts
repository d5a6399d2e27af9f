/** Accepts on inherited listening sockets, and pauses before descriptors run out: callers then wait in the kernel's
 *  backlog instead of being accepted and dropped, and what runs keeps the descriptors it needs.
 *  Knows:  that closing a server's own descriptor stops accepting and leaves the socket listening (`start` holds it).
 *  Fails:  where descriptors cannot be counted or duplicated it never pauses; the runtime then drops callers one by one. */
import { closeSync } from 'node:fs'
import type { Server, Socket } from 'node:net'
import { describeError } from '../base/outcome.ts'
import type { Clock } from './clock.ts'
import { descriptorsMax, descriptorsOpen } from './descriptors.ts'
import { serveDescriptor } from './frame-connection.ts'
import { duplicate } from './libc.ts'
import type { Log } from './log.ts'

/** Kept free for files, the queue, programs; of a small limit a quarter. */
const reserveMax = 64
const resumeMilliseconds = 200
const toldMilliseconds = 60_000

export class Acceptor {
  private readonly spares: readonly (number | undefined)[]
  private readonly onConnection: (socket: Socket) => void
  private readonly clock: Clock
  private readonly log: Log
  private readonly pauseAt: number
  private readonly resumeBelow: number
  private servers: Server[] = []
  /** So many may be accepted before the descriptors are counted again: counting many is slow. */
  private uncounted = 0
  private paused = false
  private closed = false
  private toldAt = Number.NEGATIVE_INFINITY

  constructor(fds: readonly number[], onConnection: (socket: Socket) => void, clock: Clock, log: Log) {
    this.onConnection = onConnection
    this.clock = clock
    this.log = log
    this.spares = fds.map((fd) => duplicate(fd))
    const limit = descriptorsMax() ?? Number.POSITIVE_INFINITY
    const reserve = Math.min(reserveMax, Math.floor(limit / 4))
    this.pauseAt = limit - reserve
    this.resumeBelow = this.pauseAt - Math.floor(reserve / 4)
    this.serve(fds)
  }

  /** Resolves when all sockets are served. */
  async listening(): Promise<void> {
    const waiting = this.servers.filter((server) => !server.listening)
    await Promise.all(waiting.map((server) => new Promise<void>((resolve) => server.once('listening', resolve))))
  }

  close(): void {
    this.closed = true
    this.stopServers()
    for (const fd of this.spares) if (fd !== undefined) closeSync(fd)
  }

  private serve(fds: readonly number[]): void {
    this.servers = fds.map((fd) => {
      const server = serveDescriptor(fd, (socket) => this.accepted(socket))
      server.on('error', (error) => this.tell(`warning: accept: ${describeError(error)}`))
      return server
    })
  }

  private accepted(socket: Socket): void {
    this.onConnection(socket)
    if (--this.uncounted > 0 || this.paused || this.closed) return
    const left = this.pauseAt - (descriptorsOpen() ?? 0)
    if (left <= 0) return this.pause()
    this.uncounted = Math.ceil(left / 2)
  }

  private pause(): void {
    if (this.spares.includes(undefined)) return
    this.paused = true
    this.tell('alert: out of descriptors: no connections are accepted until some have closed')
    this.stopServers()
    this.resumeLater()
  }

  private resumeLater(): void {
    this.clock.after(resumeMilliseconds, () => {
      if (this.closed) return
      if ((descriptorsOpen() ?? 0) >= this.resumeBelow) return this.resumeLater()
      const fds = this.spares.map((fd) => (fd === undefined ? undefined : duplicate(fd)))
      if (fds.some((fd) => fd === undefined)) {
        for (const fd of fds) if (fd !== undefined) closeSync(fd)
        return this.resumeLater()
      }
      this.paused = false
      this.serve(fds.filter((fd) => fd !== undefined))
    })
  }

  private stopServers(): void {
    for (const server of this.servers) server.close()
    this.servers = []
  }

  /** Once a minute at most: trouble with descriptors repeats itself with every caller. */
  private tell(text: string): void {
    const now = this.clock.monotonic()
    if (now - this.toldAt < toldMilliseconds) return
    this.toldAt = now
    this.log(text)
  }
}
