/** Reads a control file of one line, for programs that read two or three of them and must start quickly: without the table and
 *  without watching.
 *  Fails:  throws as Node does if the file exists and cannot be read: that is not the same as absent. */
import { join } from 'node:path'
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { parseLine } from '../../protocols/qmail/control-format.ts'
import { readSmallFile } from '../../system/files.ts'

const lineFileBytesMax: number = 64 * 1024

/** Undefined: the file is absent, and so is its fallback control/me. */
export function readLineOrMe(directory: string, name: string): ByteString | undefined {
  return readLine(directory, name) ?? (name === 'me' ? undefined : readLine(directory, 'me'))
}

/** Undefined: the file is absent. */
export function readLine(directory: string, name: string): ByteString | undefined {
  const bytes = readSmallFile(join(directory, name), lineFileBytesMax)
  return bytes === undefined ? undefined : parseLine(fromBuffer(bytes))
}
