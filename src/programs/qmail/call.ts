/** The interface between a program of this folder and its process. Tests supply their own. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Outcome } from '../../base/outcome.ts'
import type { HandedEnvelope } from '../../clients/queue/hand-in.ts'
import type { Home } from '../../stores/home/layout.ts'
import type { StoredBytes } from '../../system/spool.ts'

export type Variables = ReadonlyMap<string, ByteString>

export interface Call {
  /** The program's name. */
  readonly name: string
  readonly args: readonly ByteString[]
  readonly variables: Variables
  readonly pid: number
  readonly uid: number
  /** Milliseconds since 1970. */
  now(): number
  /** The home to work on. Throws Fatal. */
  home(): Home
  /** Descriptor 0, from its present position; `fromStart`: from its beginning, if it can be rewound. */
  input(fromStart?: boolean): Iterable<Buffer>
  /** Reads exactly one byte of descriptor 0, for a program that leaves the rest to another. */
  byte(millisecondsMax: number): number | 'end' | 'timeout'
  /** Waits for input or its end, and reads nothing. */
  hasInput(millisecondsMax: number): boolean
  out(text: ByteString | Uint8Array): void
  err(text: ByteString): void
  /** Enqueues by the queue, or by the program that QMAILQUEUE in `variables` names. `head`: lines above the content that its
   *  author did not write. Resolves with the `qp` number. */
  enqueue(
    envelope: HandedEnvelope,
    content: StoredBytes,
    variables: Variables,
    head?: ByteString,
  ): Promise<Outcome<number>>
  /** Runs another program, found by PATH, in this one's working directory; `input` instead of descriptor 0. */
  run(command: readonly ByteString[], input?: Iterable<Buffer>): Promise<RunEnd>
  /** Runs a checkpassword program and the program that it runs: `secret` is on its descriptor 3. */
  runCheck(command: readonly ByteString[], secret: ByteString): Promise<RunEnd>
  /** Replaces this process by another program, found by PATH of `variables`, with its descriptors. Returns if that could not be
   *  started, and, on systems that cannot replace a process, when it has ended. */
  become(command: readonly ByteString[], variables: Variables): Promise<RunEnd>
}

export type RunEnd =
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'crash' }
  /** It could not be started; Node's error code. */
  | { readonly kind: 'absent'; readonly error: string }

export type Program = (call: Call) => number | Promise<number>

/** Ends the program: exit code, and a line on descriptor 2. */
export class Fatal extends Error {
  override name = 'Fatal'
  readonly code: number
  readonly text: ByteString

  constructor(code: number, text: ByteString) {
    super(text)
    this.code = code
    this.text = text
  }
}

export const exit = { ok: 0, permanent: 100, temporary: 111 } as const
