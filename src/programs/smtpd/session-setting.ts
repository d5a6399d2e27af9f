/** What a session needs from outside. */
import type { ByteString } from '../../base/byte-string.ts'
import type { IsOurs } from '../../protocols/auth-results/own-fields.ts'
import { parseBytes } from '../../protocols/qmail/quantity.ts'
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import type { XclientValues } from '../../protocols/smtp/xclient.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import type { ContentBudget } from '../../clients/queue/content-budget.ts'
import type { Gate } from './gate.ts'
import type { Limits } from './limits.ts'
import type { Environment } from '../../servers/listener/peer.ts'
import type { ReplyRules } from './reply-rules.ts'
import type { Policy } from './policy.ts'

export interface Announced {
  readonly environment: Environment
  readonly gate: Gate
  /** A client cannot be announced twice. */
  readonly announce: undefined
}
export type Announce = (client: XclientValues) => Announced | 'denied'

export interface SessionSetting {
  readonly policy: Policy
  readonly environment: Environment
  readonly gate: Gate
  /** control/fixsmtpio; `broken`: it cannot be parsed, so no client is served. */
  readonly replyRules?: ReplyRules | 'broken' | undefined
  readonly limits: Limits
  readonly clock: Clock
  readonly budget: ContentBudget
  readonly log: Log
  /** For peers that may use XCLIENT: the announced client's environment and gate, or `denied`. */
  readonly announce?: Announce | undefined
  /** Clients that may not relay must wait for the replies to HELO, EHLO and DATA. */
  readonly mustWaitForReplies?: boolean
  enqueuerFor(environment: Environment): Enqueuer
  /** Identifies a client that may relay, for its share of slots. */
  relayerOf(environment: Environment): ByteString
  /** True for an authserv-id of ours: incoming Authentication-Results under it are removed. */
  readonly isOwnResult: IsOurs
  readonly tlsAvailable: () => boolean
}

/** DATABYTES in the environment wins; empty means no limit, as in qmail. An invalid size is ignored; `rules compile` and the
 *  log report it. */
export function databytesOf({ environment, policy }: SessionSetting): number {
  const override = environment.get('DATABYTES')
  if (override === '') return 0
  return (override === undefined ? undefined : parseBytes(override)) ?? policy.databytes
}

/** UCSPITLS="-" in a rule: not to this client. Without UCSPITLS it is offered, unlike under sslserver. */
export function offersTls({ gate, tlsAvailable }: Pick<SessionSetting, 'gate' | 'tlsAvailable'>): boolean {
  return tlsAvailable() && gate.variable('UCSPITLS') !== '-'
}

/** UCSPITLS="!": no mail before STARTTLS. */
export function needsTls({ gate }: Pick<SessionSetting, 'gate'>): boolean {
  return gate.variable('UCSPITLS') === '!'
}
