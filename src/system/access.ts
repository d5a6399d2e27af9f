/** Whether another account could read or run a file, decided by owners and modes on the whole way to it: root's own access
 *  says nothing about other accounts'.
 *  Knows:  permission bits. Never: access lists, or what a network file system thinks of root.
 *  Fails:  what cannot be looked at is said as a fault; nothing throws. */
import { closeSync, existsSync, openSync, readSync, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { describeError } from '../base/outcome.ts'
import { errorCode } from './files.ts'

/** Undefined ids: an account that owns nothing here. */
export interface Reader {
  readonly account: string
  readonly uid: number | undefined
  readonly gid: number | undefined
}

export interface AccessFault {
  readonly fault: string
  readonly remedy: string
}

/** Of a script's first line, as Linux reads it. */
const interpreterBytesMax = 256

const bits = { read: 0o4, run: 0o1 } as const

/** Undefined: the account can. The fault's text follows the file's name. */
export function accessFault(path: string, reader: Reader, want: 'read' | 'run'): AccessFault | undefined {
  try {
    const real = realpathSync(path)
    for (let directory = dirname(real); ; directory = dirname(directory)) {
      if (!may(statSync(directory), reader, bits.run))
        return {
          fault: `cannot be reached by the account ${reader.account}: ${directory} may not be entered`,
          remedy: `chmod o+x ${directory}`,
        }
      if (directory === dirname(directory)) break
    }
    const facts = statSync(real)
    if (want === 'run' && !facts.isFile()) return { fault: 'is no file', remedy: 'name a program' }
    if (!may(facts, reader, bits[want])) return closed(path, facts, reader, want)
    return want === 'run' ? interpreterFault(real) : undefined
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR')
      return { fault: 'does not exist', remedy: 'make it, or mend the path' }
    return { fault: describeError(error), remedy: 'mend the path' }
  }
}

/** A script whose interpreter does not exist: the system would say that the script itself does not. A CR at the line's end is
 *  part of the interpreter's name. */
function interpreterFault(path: string): AccessFault | undefined {
  const head = Buffer.alloc(interpreterBytesMax)
  const fd = openSync(path, 'r')
  try {
    readSync(fd, head, 0, head.length, 0)
  } finally {
    closeSync(fd)
  }
  const interpreter = /^#![ \t]*(\/[^ \t\n\0]*)/.exec(head.toString('latin1'))?.[1]
  if (interpreter === undefined || existsSync(interpreter)) return undefined
  return interpreter.endsWith('\r')
    ? { fault: 'has a first line that ends in CR LF: no program is called so', remedy: `sed -i 's/\\r$//' ${path}` }
    : { fault: `needs ${interpreter}, which does not exist`, remedy: 'install that, or mend the first line' }
}

function closed(path: string, { mode }: Stats, { account }: Reader, want: 'read' | 'run'): AccessFault {
  const has = `has mode ${(mode & 0o7777).toString(8).padStart(3, '0')}`
  if (want === 'read') return { fault: `${has}: the account ${account} cannot read it`, remedy: `chmod o+r ${path}` }
  return { fault: `${has}: the account ${account} cannot run it`, remedy: `chmod +x ${path}` }
}

function may({ uid, gid, mode }: Stats, reader: Reader, bit: number): boolean {
  // Root could read any file: one without any r bit is taken as not meant to be read.
  if (reader.uid === 0) return (mode & (bit === bits.run ? 0o111 : 0o444)) !== 0
  if (uid === reader.uid) return (mode & (bit << 6)) !== 0
  if (gid === reader.gid) return (mode & (bit << 3)) !== 0
  return (mode & bit) !== 0
}
