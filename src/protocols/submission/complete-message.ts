/** A message that a person or a script hands in, on its way to the queue: its line ends become LF, its header is completed.
 *  Never:  holds more than the header.
 *  Fails:  HeaderTooLong: what was not read of it could name blind recipients. */
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { type Field, HeaderGatherer } from '../rfc822/header.ts'
import { headerBytesMax } from '../smtp/data-decoder.ts'

export class HeaderTooLong extends Error {
  override name = 'HeaderTooLong'
}

/** Line ends LF, the header through `complete`, a final LF supplied. */
export async function* completed(
  input: AsyncIterable<Buffer> | Iterable<Buffer>,
  complete: (fields: readonly Field[]) => ByteString,
): AsyncGenerator<Buffer> {
  const gatherer = new HeaderGatherer()
  let hasBegun = false
  let gathered = 0
  let last = 10
  for await (const chunk of withoutCarriageReturns(input)) {
    last = chunk.at(-1) ?? last
    if (gatherer.isOver) {
      yield chunk
      continue
    }
    const body = gatherer.push(fromBuffer(chunk))
    gathered += chunk.length
    if (body !== undefined) {
      yield toBuffer(hasBegun ? body : complete(gatherer.fields) + body)
      hasBegun = true
    } else if (gathered > headerBytesMax)
      throw new HeaderTooLong(`the header of the message has more than ${headerBytesMax} bytes`)
  }
  const rest = (last === 10 || !hasBegun ? '' : (gatherer.push('\n') ?? '')) + gatherer.end()
  if (!hasBegun || rest !== '') yield toBuffer(hasBegun ? rest : complete(gatherer.fields) + rest)
}

/** If the first line ends in CRLF (a message saved by a mail program), each CRLF becomes LF; else all stays as it is. */
async function* withoutCarriageReturns(input: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  let convert: boolean | undefined
  let pending: Buffer = Buffer.alloc(0)
  for await (const chunk of input) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    if (convert === undefined) {
      const end = pending.indexOf(10)
      if (end === -1 && pending.length < headerBytesMax) continue
      convert = end > 0 && pending[end - 1] === 13
    }
    // A CR at the end may belong to an LF that is still to come.
    const keep = convert && pending.at(-1) === 13 ? 1 : 0
    const ready = pending.subarray(0, pending.length - keep)
    yield convert ? toBuffer(fromBuffer(ready).replaceAll('\r\n', '\n')) : ready
    pending = pending.subarray(pending.length - keep)
  }
  if (pending.length > 0) yield pending
}
