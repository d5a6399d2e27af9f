/** A filter of our own for messages on their way to the queue, fed with the content as it passes by. */
import type { Failure } from '../../base/outcome.ts'

export interface StreamFilter {
  /** Goes before the content; may be empty. */
  readonly prefix: Buffer
  push(chunk: Buffer): void
  /** After the last chunk: why the message is refused. */
  refusal(): Failure | undefined
}
