/** A filter of our own for messages on their way to the queue, fed with the content as it passes by. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Failure } from '../../base/outcome.ts'

export interface StreamFilter {
  /** Whole header lines to stand above the content; may be empty. */
  readonly prefix: ByteString
  push(chunk: Buffer): void
  /** After the last chunk: why the message is refused. */
  refusal(): Failure | undefined
}
