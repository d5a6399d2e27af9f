/** The part of a login that differs by protocol; the rest is in login-dialogue.ts. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Rejection } from '../../contracts/auth.ts'
import type { Refusal } from '../../contracts/sessions.ts'

/** Why a login failed. */
export type Failing = Rejection | Refusal | 'cancelled'

export interface LoginActions {
  /** In TLS. */
  readonly secure: boolean
  /** To be offered now, in this order. Empty without TLS, or while authd is away. */
  readonly mechanisms: readonly string[]
  say(text: string): void
  startTls(): void
  /** `initial`: the client's first response, in base64; `=` is an empty one; undefined: none. */
  authenticate(mechanism: string, initial: string | undefined): void
  close(): void
}

export interface LoginProtocol {
  greeting(): string
  /** `line` without its LF. Sends the reply, or begins a login. */
  command(line: ByteString, actions: LoginActions): void
  challenge(base64: string): string
  failure(why: Failing): string
  /** Forgets earlier commands and their data, after STARTTLS (RFC 3207 §4.2, 2595 §4). */
  forget(): void
  readonly timeout: string
  readonly tooMany: string
  readonly lineTooLong: string
  readonly shuttingDown: string
  /** Facts from before the login that the session's own program needs. */
  facts(): { readonly helo: ByteString; readonly extended: boolean }
}
