/** Reports to the process that started us that everything serves: on a descriptor (s6, `quaver start --background`), and to
 *  systemd with its watchdog (sd_notify(3)).
 *  Knows:  that a program may never get ready: after a minute readiness is reported anyway.
 *  Fails:  UsageError for a descriptor that is not open; a service manager that gets no report uses its own time limit. */
import { closeSync, fstatSync, writeSync } from 'node:fs'
import { setInterval } from 'node:timers'
import { describeError } from '../../base/outcome.ts'
import type { Clock } from '../../system/clock.ts'
import { sendDatagram } from '../../system/libc.ts'
import { UsageError } from './usage-error.ts'

const readyMillisecondsMax = 60_000

export class Readiness {
  private readonly fd: number | undefined
  private readonly socket: string
  private readonly watchdogMilliseconds: number
  private readonly clock: Clock
  private told = false

  constructor(fd: number | undefined, environment: NodeJS.ProcessEnv, clock: Clock) {
    if (fd !== undefined) checkOpen(fd)
    this.fd = fd
    this.clock = clock
    this.socket = environment['NOTIFY_SOCKET'] ?? ''
    const microseconds = environment['WATCHDOG_USEC'] ?? ''
    // Twice in its time, as sd_watchdog_enabled(3) advises.
    this.watchdogMilliseconds = /^\d{1,15}$/.test(microseconds) ? Number(microseconds) / 2000 : 0
  }

  await(): void {
    this.clock.after(readyMillisecondsMax, () => this.tell('STATUS=not every program serves yet: quaver status\n'))
  }

  tell(more = 'STATUS=serves\n'): void {
    if (this.told) return
    this.told = true
    this.notify(`${more}READY=1\n`)
    if (this.watchdogMilliseconds > 0) setInterval(() => this.notify('WATCHDOG=1\n'), this.watchdogMilliseconds).unref()
    if (this.fd === undefined) return
    try {
      writeSync(this.fd, '\n')
      closeSync(this.fd)
    } catch {
      // The reader has stopped waiting.
    }
  }

  private notify(text: string): void {
    if (this.socket !== '') sendDatagram(this.socket, text)
  }
}

function checkOpen(fd: number): void {
  try {
    fstatSync(fd)
  } catch (error) {
    throw new UsageError(`--ready-fd ${fd}: ${describeError(error)}`)
  }
}
