/** What a program of this folder gets, and what it gives back: its exit code. Tests hand in their own. */
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
  /** The home that is meant. Throws Fatal. */
  home(): Home
  /** Descriptor 0, from where it stands; `fromStart`: from its beginning, if it can be rewound. */
  input(fromStart?: boolean): Iterable<Buffer>
  /** The next byte of descriptor 0 and no more, for a program that hands the rest on. */
  byte(millisecondsMax: number): number | 'end' | 'timeout'
  /** Waits for it, its end too, and leaves it where it is. */
  hasInput(millisecondsMax: number): boolean
  out(text: ByteString | Uint8Array): void
  err(text: ByteString): void
  /** The queue, or the program that QMAILQUEUE names among `variables`. `head`: lines above the content that are not of whoever
   *  wrote it. Resolves with the `qp` number. */
  enqueue(
    envelope: HandedEnvelope,
    content: StoredBytes,
    variables: Variables,
    head?: ByteString,
  ): Promise<Outcome<number>>
  /** Another program, found by PATH, in the place that this one has; `input` instead of descriptor 0. */
  run(command: readonly ByteString[], input?: Iterable<Buffer>): Promise<RunEnd>
  /** A checkpassword program and what it runs then: `secret` is on its descriptor 3. */
  runCheck(command: readonly ByteString[], secret: ByteString): Promise<RunEnd>
  /** Another program, found by PATH of `variables`, instead of this one, with its descriptors. Comes back where it could not be
   *  started, and where the system cannot replace a process: then with the end of it. */
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
