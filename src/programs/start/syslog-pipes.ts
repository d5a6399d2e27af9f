/** Logs to syslog by one `logger` for each tag, through a pipe that takes the lines of the tag's programs. Node has no datagram
 *  sockets for /dev/log, and qmail-run does the same. A logger that dies is restarted: the pipe is ours, so lines are lost only
 *  once it is full; mail goes on.
 *  Fails:  throws HomeError without pipes or `logger`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, closeSync, constants, writeSync } from 'node:fs'
import { join } from 'node:path'
import { HomeError } from '../../stores/home/make.ts'
import type { Clock } from '../../system/clock.ts'
import { makeLogPipe } from '../../system/libc.ts'
import { type Log, oneLine } from '../../system/log.ts'
import { lineFormatter, syslogTag } from '../../system/log-form.ts'

const restartMilliseconds = 1000
const priority = 'mail.info'

interface Channel {
  readonly tag: string
  readonly readFd: number
  readonly writeFd: number
  logger: ChildProcess | undefined
}

export class SyslogPipes {
  private readonly channels = new Map<string, Channel>()
  private readonly clock: Clock
  private readonly command: string
  private closed = false

  constructor(clock: Clock, path: string = process.env['PATH'] ?? '/usr/bin:/bin') {
    this.clock = clock
    this.command = findLogger(path)
  }

  fdFor(program: string): number {
    return this.channel(program).writeFd
  }

  open(program: string): Log {
    const { writeFd } = this.channel(program)
    const format = lineFormatter('syslog', program)
    return (line) => {
      if (this.closed) return
      try {
        writeSync(writeFd, format(oneLine(line)))
      } catch {
        // The pipe is full or closed: the line is dropped.
      }
    }
  }

  /** The loggers read the rest, and end. */
  close(): void {
    this.closed = true
    for (const { readFd, writeFd } of this.channels.values()) {
      closeSync(writeFd)
      closeSync(readFd)
    }
    this.channels.clear()
  }

  private channel(program: string): Channel {
    const tag = syslogTag(program)
    const known = this.channels.get(tag)
    if (known !== undefined) return known
    const pipe = makeLogPipe()
    if (pipe === undefined) throw new HomeError("control/log: this system gives no pipes for 'syslog'; use stderr")
    const channel: Channel = { tag, ...pipe, logger: undefined }
    this.channels.set(tag, channel)
    this.startLogger(channel)
    return channel
  }

  private startLogger(channel: Channel): void {
    if (this.closed) return
    const logger = spawn(this.command, ['-p', priority, '-t', channel.tag], {
      stdio: [channel.readFd, 'ignore', 2],
      // Signals to our process group must not reach it: it ends after the last writer.
      detached: true,
    })
    channel.logger = logger
    let ended = false
    const again = (): void => {
      if (ended) return
      ended = true
      this.clock.after(restartMilliseconds, () => this.startLogger(channel))
    }
    logger.once('error', again)
    logger.once('exit', again)
    logger.unref()
  }
}

function findLogger(path: string): string {
  for (const directory of path.split(':')) {
    const file = join(directory === '' ? '.' : directory, 'logger')
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // Try the next directory.
    }
  }
  throw new HomeError(
    "control/log says syslog, and there is no program 'logger' in PATH (package util-linux or bsdutils): install it, or use stderr",
  )
}
