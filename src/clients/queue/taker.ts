/** Whoever takes a message for delivery: our queue, or the program that QMAILQUEUE names. */
import type { Outcome } from '../../base/outcome.ts'
import type { Envelope, Params } from '../../contracts/envelope.ts'

export interface ContentSink {
  /** Resolves when the next chunk may come; never rejects: `close` says what went wrong. */
  write(bytes: Buffer): Promise<void>
  /** Resolves with the `qp` number (the message id, or the program's pid) once the message is durable. */
  close(): Promise<Outcome<number>>
  abandon(): void
}

export interface Taker {
  /** For content that is at hand as a whole. */
  submit(envelope: Envelope, params: Params, content: Buffer): Promise<Outcome<number>>
  /** For content that comes chunk by chunk. */
  open(envelope: Envelope, params: Params): Promise<Outcome<ContentSink>>
}
