/** SASLprep (RFC 4013) of names and passwords, so that texts that look the same but are encoded differently match. Characters
 *  younger than Unicode 3.2 pass: people use them, and every client passes them, too. The tables cost 12 MB and are loaded at
 *  the first text that is not plain ASCII: few processes ever meet one. */
import { isUtf8 } from 'node:buffer'
import { createRequire } from 'node:module'
import type saslprep from '@mongodb-js/saslprep'
import { type ByteString, toBuffer } from '../../base/byte-string.ts'

const require = createRequire(import.meta.url)

/** Names and passwords as they come from a client: UTF-8, or else Latin-1, as old mail programs send it. */
export function textFromClient(bytes: ByteString): string {
  const buffer = toBuffer(bytes)
  return isUtf8(buffer) ? buffer.toString('utf8') : bytes
}

/** Undefined for a forbidden text: control characters, mixed directions, or nothing left. */
export function prepareText(text: string): string | undefined {
  if (/^[ -~]+$/.test(text)) return text
  if (text === '') return undefined
  try {
    const prepare = require('@mongodb-js/saslprep') as typeof saslprep
    const prepared = prepare(text, { allowUnassigned: true })
    return prepared === '' ? undefined : prepared
  } catch {
    return undefined
  }
}
