/** iftocc(1), 822field(1), 822header(1): read the header of the message on descriptor 0, for scripts. */
import { fromBuffer, lowerAscii } from '../../base/byte-string.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { type Field, HeaderGatherer } from '../../protocols/rfc822/header.ts'
import { everyReading } from '../../protocols/rfc822/readings.ts'
import { headerBytesMax } from '../../protocols/smtp/data-decoder.ts'
import { errorCode } from '../../system/files.ts'
import { type Call, exit, Fatal } from './call.ts'

/** 0 if one of the arguments, or else RECIPIENT, is in To or Cc; 100 if not. */
export function iftocc(call: Call): number {
  const recipient = call.variables.get('RECIPIENT')
  const wanted = call.args.length > 0 ? call.args : recipient === undefined ? [] : [recipient]
  if (wanted.length === 0) throw new Fatal(exit.permanent, 'iftocc: fatal: RECIPIENT not set')
  const folded = new Set(wanted.map(lowerAscii))
  const isThere = readHeader(call)
    .filter(({ name }) => name === 'to' || name === 'cc')
    .some(({ value }) => everyReading(value).some((address) => folded.has(lowerAscii(address))))
  return isThere ? exit.ok : exit.permanent
}

/** Prints what follows the colon of each field of that name. */
export function field822(call: Call): number {
  const wanted = lowerAscii(call.args[0] ?? 'subject')
  const found = readHeader(call).filter(({ name }) => name === wanted)
  for (const { value } of found) call.out(`${value}\n`)
  return found.length > 0 ? exit.ok : exit.permanent
}

export function header822(call: Call): number {
  for (const { raw } of readHeader(call)) call.out(raw)
  return exit.ok
}

export function readHeader(call: Call): readonly Field[] {
  const gatherer = new HeaderGatherer()
  let bytes = 0
  try {
    for (const chunk of call.input()) {
      bytes += chunk.length
      if (gatherer.push(fromBuffer(chunk)) !== undefined) return gatherer.fields
      if (bytes > headerBytesMax)
        throw new Fatal(exit.permanent, `${call.name}: fatal: the header has more than ${headerBytesMax} bytes`)
    }
  } catch (error) {
    const code = errorCode(error)
    if (code === '') throw error
    throw new Fatal(exit.temporary, `${call.name}: fatal: unable to read input: ${errnoText(code)}`)
  }
  gatherer.end()
  return gatherer.fields
}
