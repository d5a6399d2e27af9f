/** What became of a mail, or of an attempt to take or deliver it: one record, made where it is known. SMTP replies, qmail's
 *  texts and exit codes are made of it at the edge, never read back.
 *  Anything not understood is temporary: only code that knows may say 5. */
import type { ByteString } from './byte-string.ts'

/** RFC 3463: class, subject and detail. Subject and detail 0: undefined. */
export interface Status {
  readonly class: 2 | 4 | 5
  readonly subject: number
  readonly detail: number
  /** What a peer or the sender may read: no paths and no configuration. For a failure: one line of ASCII, as in a reply. For
   *  a delivery: whole lines in qmail's words, with bytes as the other host sent them. */
  readonly peerText: ByteString
  /** What the log says: everything, one line. Empty: no more than the peer is told. */
  readonly logText: string
  /** The other host that this is about. */
  readonly answer: HostAnswer | undefined
}

export interface HostAnswer {
  /** Its name as we looked it up; the address itself where there is no name. */
  readonly name: string
  readonly address: string
  /** 0: it said nothing. */
  readonly code: number
  /** The whole reply, each line ended by LF. */
  readonly lines: ByteString
}

/** "This mail cannot be dealt with now, or ever." */
export interface Failure extends Status {
  readonly class: 4 | 5
  /** SMTP's reply code, where the class alone would give another one. Never sent to another program. */
  readonly replyCode?: number
}

export type Outcome<T> =
  | { readonly done: true; readonly value: T }
  | { readonly done: false; readonly failure: Failure }

/** Subject and detail. */
export type StatusCode = `${number}.${number}`

export function done<T>(value: T): Outcome<T> {
  return { done: true, value }
}

export function failed(failure: Failure): Outcome<never> {
  return { done: false, failure }
}

/** The peer is told the words and, in parentheses after them, the status, as qmail writes it. */
export function transient(code: StatusCode, words: ByteString, logText?: string): Failure {
  return plainFailure(4, code, `${words} (#4.${code})`, logText)
}

export function permanent(code: StatusCode, words: ByteString, logText?: string): Failure {
  return plainFailure(5, code, `${words} (#5.${code})`, logText)
}

/** The peer is told the text alone. */
export function plainFailure(
  failureClass: 4 | 5,
  code: StatusCode,
  peerText: ByteString,
  logText: string = peerText,
): Failure {
  const dot = code.indexOf('.')
  const [subject, detail] = [Number(code.slice(0, dot)), Number(code.slice(dot + 1))]
  return { class: failureClass, subject, detail, peerText, logText, answer: undefined }
}

/** What an exception from `system/` becomes: temporary, whatever it was. */
export function transientFrom(
  error: unknown,
  attempted: string,
  words = 'temporary failure',
  code: StatusCode = '3.0',
): Failure {
  return transient(code, words, `${attempted}: ${describeError(error)}`)
}

/** `5.1.1` */
export function codeOf({ class: statusClass, subject, detail }: Status): string {
  return `${statusClass}.${subject}.${detail}`
}

/** One line that says what an exception was. */
export function describeError(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replaceAll('\n', ' ')
}
