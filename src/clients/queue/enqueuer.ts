/** What takes a message for delivery: our queue, the program that QMAILQUEUE names, or a stage before them. */
import type { ByteString } from '../../base/byte-string.ts'
import { failed, type Failure, type Outcome } from '../../base/outcome.ts'
import { type Envelope, noParams, type Params } from '../../contracts/envelope.ts'

/** Takes one message: write, write …, close. `close` tells what went wrong on the way. */
export interface ContentSink {
  /** The bytes are the sink's from now on. Resolves when the next ones may come; never rejects. */
  write(bytes: Buffer): Promise<void>
  /** `head`: whole header lines to stand above what was written. `late`: parameters that are known only now, beside those
   *  of `open`. Resolves with the `qp` number (the message id, or the program's pid) once the message is durable. */
  close(head: ByteString, late: Params): Promise<Outcome<number>>
  /** The message will not be closed; may be called while a write has not resolved. */
  abandon(): void
}

export interface Enqueuer {
  open(envelope: Envelope, params: Params): ContentSink
}

/** Writes a whole message to a sink and closes that. Throws what reading `body` throws; the message is abandoned then. */
export async function handOn(
  sink: ContentSink,
  head: ByteString,
  body: Iterable<Buffer> | AsyncIterable<Buffer>,
): Promise<Outcome<number>> {
  try {
    for await (const bytes of body) await sink.write(bytes)
  } catch (error) {
    sink.abandon()
    throw error
  }
  return await sink.close(head, noParams)
}

/** Takes nothing, and says so at the end of each message. */
export function refusing(failure: Failure): Enqueuer {
  const sink: ContentSink = {
    write: () => Promise.resolve(),
    close: () => Promise.resolve(failed(failure)),
    abandon: () => undefined,
  }
  return { open: () => sink }
}
