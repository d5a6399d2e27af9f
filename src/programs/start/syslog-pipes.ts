/** The way to syslog: one `logger` for each tag, at the other end of a pipe to which lines of the tag's programs are written.
 *  Node has no datagram sockets for /dev/log, and this is what qmail-run does. A logger that dies is started again: the
 *  pipe is ours, so what was written meanwhile is not lost until it is full; then lines are dropped, and mail goes on.
 *  Fails:  throws HomeError where pipes or `logger` cannot be had. */
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
        // Full, or gone: see above.
      }
    }
  }

  /** The loggers read what is left, and end. */
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
      // A signal for our whole group is not for it: it ends when the last writer has.
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
      // The next directory.
    }
  }
  throw new HomeError(
    "control/log says syslog, and there is no program 'logger' in PATH (package util-linux or bsdutils): install it, or use stderr",
  )
}
