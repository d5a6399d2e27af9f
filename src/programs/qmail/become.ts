/** Becomes another program, as execvp(3) does: found by PATH, with this one's descriptors 0 to 2 and those of UCSPI-TLS, and
 *  the given environment; a script without `#!` is run by the shell. Arguments and variables are passed on as UTF-8, since Node
 *  passes on nothing else. */
import { accessSync, closeSync, constants as files, openSync, readSync, statSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { flushCompileCache } from 'node:module'
import { constants } from 'node:os'
import { join } from 'node:path'
import { type ByteString, toText } from '../../base/byte-string.ts'
import { errorCode } from '../../system/files.ts'
import { keepForNextProgram, resetSignal } from '../../system/libc.ts'
import { descriptorNamed, ucspiTlsDescriptors } from '../../system/ucspi-tls.ts'
import type { RunEnd, Variables } from './call.ts'

const shell = '/bin/sh'
const pathFallback = '/usr/local/bin:/usr/bin:/bin'

export async function become(command: readonly ByteString[], variables: Variables): Promise<RunEnd> {
  const words = command.map(toText)
  const [program = ''] = words
  const found = find(program, toText(variables.get('PATH') ?? pathFallback))
  if (!('path' in found)) return { kind: 'absent', error: found.error }
  const environment = Object.fromEntries([...variables].map(([name, value]) => [name, toText(value)]))
  const [file, args] = isForTheShell(found.path) ? [shell, [shell, found.path, ...words.slice(1)]] : [found.path, words]
  // This process never exits, so the cache is written now.
  flushCompileCache()
  // The runtime ignores SIGPIPE; the other program expects the default.
  resetSignal(constants.signals.SIGPIPE)
  for (const name of ucspiTlsDescriptors) {
    const fd = descriptorNamed(environment[name])
    if (fd !== undefined) keepForNextProgram(fd)
  }
  process.execve?.(file, args, environment)
  return await new Promise((settle) => {
    const child = spawn(file, args.slice(1), { argv0: args[0], env: environment, stdio: 'inherit' })
    child.once('error', (error) => settle({ kind: 'absent', error: errorCode(error) }))
    child.once('exit', (code) => settle(code === null ? { kind: 'crash' } : { kind: 'exit', code }))
  })
}

/** A file that may be run, or Node's error code: that of an existing file rather than `ENOENT`. */
function find(program: string, path: string): { readonly path: string } | { readonly error: string } {
  const candidates = program.includes('/') ? [program] : path.split(':').map((one) => join(one || '.', program))
  let trouble = 'ENOENT'
  if (program === '') return { error: trouble }
  for (const candidate of candidates) {
    try {
      accessSync(candidate, files.X_OK)
      if (statSync(candidate).isFile()) return { path: candidate }
      trouble = 'EACCES'
    } catch (error) {
      const code = errorCode(error)
      if (code !== 'ENOENT' && code !== 'ENOTDIR') trouble = code
    }
  }
  return { error: trouble }
}

/** Neither an ELF file nor a script that names its interpreter: execve would refuse it, and Node would abort. A file that may
 *  be run but not read counts as a program. */
function isForTheShell(path: string): boolean {
  const start = Buffer.alloc(4)
  try {
    const fd = openSync(path, 'r')
    try {
      const count = readSync(fd, start, 0, start.length, 0)
      const isScript = start.subarray(0, 2).equals(Buffer.from('#!'))
      return !isScript && !(count === start.length && start.equals(Buffer.from('\x7fELF')))
    } finally {
      closeSync(fd)
    }
  } catch {
    return false
  }
}
