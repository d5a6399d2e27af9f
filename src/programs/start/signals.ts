/** Signals: INT and TERM stop, HUP reloads, ALRM has all mail tried again; a second, later INT or TERM kills.
 *  One Ctrl-C can arrive twice (from the terminal and from npm), and a TERM sent to npm may not arrive at all. */
import { setInterval } from 'node:timers'
import { realClock } from '../../system/clock.ts'
import { flushLog } from '../../system/log.ts'
import { heedSignals } from '../../system/signals.ts'
import type { Started } from './start.ts'

const repeatMilliseconds = 1000
const parentPollMilliseconds = 500
const answerMilliseconds = 50

export function obeySignals(started: Started, { watchParent }: { readonly watchParent: boolean }): void {
  let stoppingSince: number | undefined
  const stop = (why: string): void => {
    const now = realClock.monotonic()
    if (stoppingSince !== undefined) {
      if (now - stoppingSince < repeatMilliseconds) return
      started.screen.note(`${why} again: programs are killed`)
      started.fleet.kill()
      return
    }
    stoppingSince = now
    started.screen.note(`stops: ${why}`)
    started.screen.say('\n  stopping …')
    void started.stop()
  }
  heedSignals({
    SIGINT: () => stop('SIGINT'),
    SIGTERM: () => stop('SIGTERM'),
    SIGHUP: () => started.fleet.tell({ kind: 'reload' }),
    SIGALRM: () => started.fleet.tell({ kind: 'retry' }),
  })
  if (watchParent) {
    const parent = process.ppid
    setInterval(() => {
      if (process.ppid !== parent) stop('the process that started it is gone')
    }, parentPollMilliseconds).unref()
  }
  void started.stopped.then(() => {
    started.screen.note('stopped')
    started.screen.say('  stopped: all that was accepted is on disk')
    flushLog()
    // Leaves time to answer a request over the socket.
    setTimeout(() => process.exit(0), answerMilliseconds)
  })
}
