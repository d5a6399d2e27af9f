/** Where `start` speaks. The demo: to the terminal, and to HOME/log/quaver.log with the others. A system home: to
 *  descriptor 2, where the service manager listens. */
import { closeSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { errorCode } from '../../system/files.ts'
import { openLog } from '../../system/log.ts'

export interface Screen {
  /** Descriptor for the log of all programs. */
  readonly logFd: number
  /** Undefined if descriptor 2 is the log. */
  readonly logPath: string | undefined
  /** For people: nothing that a log needs. */
  say(text: string): void
  /** For the log. */
  note(text: string): void
  /** For both, in that order of urgency: something an operator should read. */
  trouble(text: string): void
}

/** A demo's log is set aside at start when it is longer; one older is kept. */
const logBytesMax: number = 16 * 1024 * 1024

export function systemScreen(): Screen {
  const log = openLog('start')
  return { logFd: 2, logPath: undefined, say: () => undefined, note: log, trouble: (text) => log(`warning: ${text}`) }
}

export function demoScreen(logDirectory: string): Screen {
  const logPath = join(logDirectory, 'quaver.log')
  rotate(logPath)
  const logFd = openSync(logPath, 'a', 0o600)
  const note = (text: string): void => {
    writeSync(logFd, `${new Date().toISOString()} start: ${text}\n`)
  }
  return {
    logFd,
    logPath,
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
