/** Where `start` speaks. The demo: to the terminal, and to HOME/log/quaver.log with the others. A system home: where
 *  control/log says, by default descriptor 2, where the service manager listens. */
import { closeSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { HomeError } from '../../stores/home/make.ts'
import type { Clock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { openLog } from '../../system/log.ts'
import { type LogForm, logForms } from '../../system/log-form.ts'
import { SyslogPipes } from './syslog-pipes.ts'

export interface Screen {
  /** Descriptor for the log of a program. */
  logFdFor(program: string): number
  /** The programs' QUAVER_LOG. */
  readonly logForm: LogForm
  /** Undefined if descriptor 2 is the log. */
  readonly logPath: string | undefined
  /** For people: nothing that a log needs. */
  say(text: string): void
  /** For the log. */
  note(text: string): void
  /** For both, in that order of urgency: something an operator should read. */
  trouble(text: string): void
  /** Nothing is said after this. */
  close(): void
}

/** A demo's log is set aside at start when it is longer; one older is kept. */
const logBytesMax: number = 16 * 1024 * 1024

/** `wanted`: control/log. */
export function systemScreen(wanted: string | undefined, clock: Clock): Screen {
  const logForm = wanted === undefined ? 'stderr' : logForms.find((form) => form === wanted)
  if (logForm === undefined) throw new HomeError(`control/log: '${wanted}' is none of ${logForms.join(', ')}`)
  const shared = { logForm, logPath: undefined, say: () => undefined }
  if (logForm === 'syslog') {
    const pipes = new SyslogPipes(clock)
    const note = (text: string): void => pipes.write('start', text)
    const trouble = (text: string): void => note(`warning: ${text}`)
    return { ...shared, logFdFor: (program) => pipes.fdFor(program), note, trouble, close: () => pipes.close() }
  }
  const log = openLog('start', logForm)
  const trouble = (text: string): void => log(`warning: ${text}`)
  return { ...shared, logFdFor: () => 2, note: log, trouble, close: () => undefined }
}

export function demoScreen(logDirectory: string): Screen {
  const logPath = join(logDirectory, 'quaver.log')
  rotate(logPath)
  const logFd = openSync(logPath, 'a', 0o600)
  const note = (text: string): void => {
    writeSync(logFd, `${new Date().toISOString()} start: ${text}\n`)
  }
  return {
    logFdFor: () => logFd,
    logForm: 'stamp',
    logPath,
    close: () => undefined,
    say: print,
    note,
    trouble(text) {
      note(`warning: ${text}`)
      print(`  ${styleText('yellow', '!', { stream: process.stdout })} ${text}`)
    },
  }
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function rotate(path: string): void {
  try {
    if (statSync(path).size > logBytesMax) renameSync(path, `${path}.1`)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
  closeSync(openSync(path, 'a', 0o600))
}
