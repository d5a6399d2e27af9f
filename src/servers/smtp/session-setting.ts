/** The settings of a session that takes messages by SMTP, and the form of its commands. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Reply } from '../../protocols/smtp/replies.ts'
import type { Clock } from '../../system/clock.ts'
import type { DialoguePort } from '../listener/dialogue.ts'
import type { ContentBudget } from '../../clients/queue/content-budget.ts'
import type { SmtpLimits } from './limits.ts'

export interface SmtpSessionSetting {
  readonly limits: SmtpLimits
  readonly clock: Clock
  readonly budget: ContentBudget
  /** control/timeoutsmtpd. */
  readonly idleSecondsMax: number
  /** control/smtpgreeting. */
  readonly greeting: ByteString
}

export type SmtpSessionPort = Pick<DialoguePort, 'send' | 'close' | 'progress'>

/** What a command does in a session. */
export interface Verb<Session> {
  /** It does not move mail: a session may only have so many. */
  readonly isIdle: boolean
  act(session: Session, argument: ByteString): void
}

/** By its name in lower case. */
export type Verbs<Session> = ReadonlyMap<ByteString, Verb<Session>>

export function idle<Session>(act: Verb<Session>['act']): Verb<Session> {
  return { isIdle: true, act }
}

export function working<Session>(act: Verb<Session>['act']): Verb<Session> {
  return { isIdle: false, act }
}

export interface Refusal {
  readonly reply: Reply
  /** For the log. */
  readonly check: string
}
