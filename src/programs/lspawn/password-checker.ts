/** Runs the checkpassword program of control/checkpassword (qmail's interface: name, password and timestamp with a NUL
 *  behind each on descriptor 3; exit 1 or 100 refuses, all else is temporary; or it becomes the user and runs what follows).
 *  What follows is a shell that waits. The uid is read from the kernel's own account of that process: what the program
 *  or its user say about themselves is not believed. A user with uid 0 is refused like a wrong password.
 *  Fails:  with a denial of the sessions contract; never rejects. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { Readable, Writable } from 'node:stream'
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { type Denial, passwordBytesMax } from '../../contracts/sessions.ts'
import { type Clock, within } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import { type LogPipe, openLogPipe } from '../../system/log-pipe.ts'
import { killGroup } from '../../system/processes.ts'

const checkMillisecondsMax = 30_000
/** Each is a process of root's. */
const atOnceMax = 20
const credentialsFd = 3
/** checkpassword's, and that of Debian's cvm-checkpassword. */
const refusedCodes: readonly (number | undefined)[] = [1, 100]
/** It reads what to do from its standard input, and needs no argument: some programs (checkpassword-pam) look for their options
 *  everywhere. */
const waitingShell = '/bin/sh'
/** Says who it is by its number alone, on a line of its own whatever was printed before, and waits for its end. */
const waitingScript = 'echo; echo "$$"; read -r _\n'
/** Of a path, and of what a `local` takes (contracts/assign.ts). */
const homeBytesMax = 4095
const userBytesMax = 255
const logLimits = { bytesPerSecond: 16 * 1024 } as const
const shellEnvironmentBytesMax: number = 128 * 1024

export interface CheckedUser {
  readonly user: ByteString
  readonly uid: number
  readonly gid: number
  readonly home: ByteString
}

export interface CheckerSetting {
  readonly clock: Clock
  readonly log: Log
  /** HOME: where the program is run. */
  readonly directory: string
  readonly rootMayReceive: boolean
  /** Undefined: the usual half minute. */
  readonly millisecondsMax?: number
  /** The program and its arguments; undefined: there is none. */
  command(): readonly string[] | undefined
}

export class PasswordChecker {
  private readonly setting: CheckerSetting
  private running = 0

  constructor(setting: CheckerSetting) {
    this.setting = setting
  }

  async check(name: ByteString, password: ByteString): Promise<CheckedUser | Denial> {
    const credentials = `${name}\0${password}\0\0`
    if (name.includes('\0') || password.includes('\0') || credentials.length > passwordBytesMax) return 'failed'
    if (this.running >= atOnceMax) return 'temporary'
    this.running++
    try {
      const command = this.setting.command()
      return command === undefined ? 'failed' : await this.run(command, credentials)
    } catch (error) {
      this.setting.log(`alert: control/checkpassword: ${describeError(error)}`)
      return 'temporary'
    } finally {
      this.running--
    }
  }

  private async run(command: readonly string[], credentials: ByteString): Promise<CheckedUser | Denial> {
    const { clock, log } = this.setting
    // What follows it is its user's: our log is not for him.
    const pipe = openLogPipe((line) => log(`checkpassword: ${line}`), clock, logLimits)
    try {
      return await this.runWith(command, credentials, pipe)
    } finally {
      pipe?.close()
    }
  }

  private async runWith(
    [file = '', ...args]: readonly string[],
    credentials: ByteString,
    log: LogPipe | undefined,
  ): Promise<CheckedUser | Denial> {
    const { clock, directory, millisecondsMax = checkMillisecondsMax } = this.setting
    const child = spawn(file, [...args, waitingShell], {
      cwd: directory,
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
      stdio: ['pipe', 'pipe', log?.writeFd ?? 'ignore', 'pipe'],
      // A session of its own: whoever is in its group was started by it.
      detached: true,
    })
    try {
      const ended = exitOf(child)
      // If there is no process at all, `give` throws before anybody waits for this.
      ended.catch(() => undefined)
      give(child, credentials)
      const found = await within(clock, millisecondsMax, 'its answer', Promise.race([ended, shellOf(child)]))
      if (found.kind === 'ended') return refusedCodes.includes(found.code) ? 'failed' : this.trouble(found.how)
      return await this.accept(child, found.pid)
    } finally {
      killGroup(child)
      // What has left the group may hold the other ends open for ever.
      for (const stream of child.stdio ?? []) stream?.destroy()
    }
  }

  private async accept(child: ChildProcess, pid: number): Promise<CheckedUser | Denial> {
    const facts = await factsOf(pid)
    if (facts.group !== child.pid) return this.trouble('what it ran has left its process group')
    if (facts.uid === 0 && !this.setting.rootMayReceive) return 'failed'
    const environment = await environmentOf(pid)
    const home = environment.get('HOME')
    const user = environment.get('USER') ?? ''
    if (home === undefined || !home.startsWith('/')) return this.trouble('it set no HOME')
    if (home.length > homeBytesMax || user.length > userBytesMax) return this.trouble('its HOME or USER is too long')
    return { user, uid: facts.uid, gid: facts.gid, home }
  }

  private trouble(text: string): Denial {
    this.setting.log(`warning: control/checkpassword: ${text}`)
    return 'temporary'
  }
}

function exitOf(child: ChildProcess): Promise<{ kind: 'ended'; code: number | undefined; how: string }> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      resolve({ kind: 'ended', code: code ?? undefined, how: signal === null ? `exit ${code}` : `signal ${signal}` })
    })
  })
}

function give(child: ChildProcess, credentials: ByteString): void {
  const pipe: unknown = child.stdio[credentialsFd]
  if (!(pipe instanceof Writable)) throw new Error('no pipe')
  // It may end without reading.
  pipe.on('error', () => undefined)
  pipe.end(toBuffer(credentials))
  child.stdin?.on('error', () => undefined)
  child.stdin?.write(waitingScript)
}

/** Never settles if the shell says nothing. */
function shellOf(child: ChildProcess): Promise<{ kind: 'shell'; pid: number }> {
  return new Promise((resolve) => {
    const output = child.stdout
    if (!(output instanceof Readable)) return
    let said = ''
    output.on('error', () => undefined)
    output.on('data', (chunk: Buffer) => {
      said = (said + fromBuffer(chunk)).slice(-1024)
      // A program may print lines of its own before.
      const pid = /(?:^|\n)([1-9][0-9]{0,9})\n$/.exec(said)?.[1]
      if (pid !== undefined) resolve({ kind: 'shell', pid: Number(pid) })
    })
  })
}

interface ProcessFacts {
  readonly group: number
  /** Effective. */
  readonly uid: number
  readonly gid: number
}

async function factsOf(pid: number): Promise<ProcessFacts> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1')
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
  // The name is in parentheses and may hold anything: state, ppid, pgrp follow the last one.
  const group = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]
  const id = (name: string): number => Number(new RegExp(`^${name}:\\t\\d+\\t(\\d+)`, 'm').exec(status)?.[1])
  return { group: Number(group), uid: id('Uid'), gid: id('Gid') }
}

async function environmentOf(pid: number): Promise<ReadonlyMap<string, ByteString>> {
  const bytes = await readFile(`/proc/${pid}/environ`)
  const entries = fromBuffer(bytes.subarray(0, shellEnvironmentBytesMax)).split('\0')
  return new Map(entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]))
}
