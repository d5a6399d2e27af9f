/** Output of `start`. The demo: the terminal, and HOME/log/quaver.log together with the programs. A system home: as control/log
 *  says, by default descriptor 2, which the service manager reads. */
import { closeSync, openSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { describeError } from '../../base/outcome.ts'
import type { Trouble } from '../../contracts/troubles.ts'
import { HomeError } from '../../stores/home/make.ts'
import type { Clock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { type Log, LogFile } from '../../system/log.ts'
import { type LogForm, logForms } from '../../system/log-form.ts'
import { type LogPipe, openLogPipe, pipedForm } from '../../system/log-pipe.ts'
import { SyslogPipes } from './syslog-pipes.ts'

export interface Screen {
  /** Descriptors 1 and 2 of a program, each time that it is started. */
  logFor(program: string): ProgramLog
  /** Undefined if descriptor 2 is the log. */
  readonly logPath: string | undefined
  /** For people; not logged. */
  say(text: string): void
  /** For the log. */
  note(text: string): void
  /** For people and the log: something an operator should read. */
  trouble(text: string): void
  /** Why log lines are lost; undefined: they are kept. */
  logTrouble(): Trouble | undefined
  /** Nothing is said after this. */
  close(): void
}

export interface ProgramLog {
  readonly fd: number
  /** QUAVER_LOG; undefined: not set. */
  readonly form: string | undefined
}

/** A longer log of a demo is set aside at the start; one old file is kept. */
const logBytesMax: number = 16 * 1024 * 1024

/** `wanted`: control/log. */
export function systemScreen(wanted: string | undefined, clock: Clock): Screen {
  const form = wanted === undefined ? 'stderr' : logForms.find((known) => known === wanted)
  if (form === undefined) throw new HomeError(`control/log: '${wanted}' is none of ${logForms.join(', ')}`)
  const target = form === 'syslog' ? syslog(clock) : file(2, form)
  const pipes = new ProgramPipes(target, clock)
  const note = target.open('start')
  return {
    logPath: undefined,
    logFor: (program) => pipes.of(program),
    say: () => undefined,
    note,
    trouble: (text) => note(`warning: ${text}`),
    logTrouble: () => logTrouble(target, 'descriptor 2'),
    close: () => pipes.close(),
  }
}

export function demoScreen(logDirectory: string, clock: Clock): Screen {
  const { fd, path: logPath } = openDemoLog(join(logDirectory, 'quaver.log'))
  const target = file(fd, 'stamp')
  const pipes = new ProgramPipes(target, clock)
  const log = target.open('start')
  const note = (text: string): void => {
    log(text)
    target.flush()
  }
  return {
    logPath,
    logFor: (program) => pipes.of(program),
    say: print,
    note,
    trouble(text) {
      note(`warning: ${text}`)
      print(`  ${styleText('yellow', '!', { stream: process.stdout })} ${text}`)
    },
    logTrouble: () => logTrouble(target, logPath ?? 'descriptor 2'),
    close: () => pipes.close(),
  }
}

/** Where the log of a home goes. */
interface Target {
  open(program: string): Log
  /** Where a program writes directly, if there can be no pipe for it. */
  direct(program: string): ProgramLog
  flush(): void
  /** As LogFile's. */
  lostBecause(): string
  close(): void
}

function logTrouble(target: Target, where: string): Trouble | undefined {
  const text = target.lostBecause()
  return text === '' ? undefined : { kind: 'log', where, text }
}

function file(fd: number, form: LogForm): Target {
  const written = new LogFile(fd)
  return {
    open: (program) => written.open(program, form),
    direct: () => ({ fd, form }),
    flush: () => written.flush(),
    lostBecause: () => written.lostBecause,
    close: () => written.flush(),
  }
}

function syslog(clock: Clock): Target {
  const loggers = new SyslogPipes(clock)
  return {
    open: (program) => loggers.open(program),
    direct: (program) => ({ fd: loggers.fdFor(program), form: 'syslog' }),
    flush: () => undefined,
    // logger(1) does not report failures.
    lostBecause: () => '',
    close: () => loggers.close(),
  }
}

/** A pipe for each program, kept over its restarts: programs have accounts of their own, and none may log under another's
 *  name. */
class ProgramPipes {
  private readonly target: Target
  private readonly clock: Clock
  private readonly pipes = new Map<string, LogPipe>()

  constructor(target: Target, clock: Clock) {
    this.target = target
    this.clock = clock
  }

  of(program: string): ProgramLog {
    const pipe = this.pipes.get(program) ?? openLogPipe(this.target.open(program), this.clock)
    if (pipe === undefined) return this.target.direct(program)
    this.pipes.set(program, pipe)
    return { fd: pipe.writeFd, form: pipedForm }
  }

  close(): void {
    for (const pipe of this.pipes.values()) pipe.close()
    this.pipes.clear()
    this.target.close()
  }
}

interface DemoLog {
  readonly fd: number
  readonly path: string | undefined
}

/** If no log can be kept, the programs write to the terminal. */
function openDemoLog(path: string): DemoLog {
  try {
    rotate(path)
    return { fd: openSync(path, 'a', 0o600), path }
  } catch (error) {
    print(`  ${styleText('yellow', '!', { stream: process.stdout })} no log can be kept: ${describeError(error)}`)
    return { fd: 2, path: undefined }
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
