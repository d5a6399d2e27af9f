/** Hands a message in for the programs here, and turns the answer into their exit. */
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import type { HandedEnvelope } from '../../clients/queue/hand-in.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { errorCode } from '../../system/files.ts'
import { gather } from '../../system/input-spool.ts'
import type { Gathered } from '../../system/spool.ts'
import { type Call, exit, Fatal } from './call.ts'

/** `envelope` is called when the content has been read. Resolves with the `qp` number. Throws Fatal with the queue's text
 *  behind `prefix`. */
export async function enqueue(
  call: Call,
  prefix: ByteString,
  content: AsyncIterable<Buffer> | Iterable<Buffer>,
  envelope: () => HandedEnvelope,
): Promise<number> {
  const gathered = await read(content, prefix)
  const taken = await call.enqueue(envelope(), gathered, call.variables)
  gathered.close()
  if (taken.done) return taken.value
  const { class: failureClass, peerText } = taken.failure
  throw new Fatal(failureClass === 5 ? exit.permanent : exit.temporary, `${prefix}${peerText}`)
}

async function read(content: AsyncIterable<Buffer> | Iterable<Buffer>, prefix: ByteString): Promise<Gathered> {
  try {
    return await gather(content)
  } catch (error) {
    const code = errorCode(error)
    if (code === '') throw error
    throw new Fatal(exit.temporary, `${prefix}unable to read message: ${errnoText(code)}`)
  }
}

export function* withHead(head: ByteString, input: Iterable<Buffer>): Generator<Buffer> {
  yield toBuffer(head)
  yield* input
}
