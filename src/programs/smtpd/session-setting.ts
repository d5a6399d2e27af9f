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
  /** Not twice. */
  readonly announce: undefined
}
export type Announce = (client: XclientValues) => Announced | 'denied'

export interface SessionSetting {
  readonly policy: Policy
  readonly environment: Environment
  readonly gate: Gate
  /** control/fixsmtpio; `broken`: it is there and cannot be parsed, and nobody is served by half of it. */
  readonly replyRules?: ReplyRules | 'broken' | undefined
  readonly limits: Limits
  readonly clock: Clock
  readonly budget: ContentBudget
  readonly log: Log
  /** For peers that may say XCLIENT: what the announced client's session has, or that it may not connect. */
  readonly announce?: Announce | undefined
  /** Who may not relay has to wait for the replies to HELO, EHLO and DATA. */
  readonly mustWaitForReplies?: boolean
  enqueuerFor(environment: Environment): Enqueuer
  /** Who a client that may relay is, for the share of its mail. */
  relayerOf(environment: Environment): ByteString
  /** Authentication-Results under such a name are ours; those that come with a message go. */
  readonly isOwnResult: IsOurs
  readonly tlsAvailable: () => boolean
}

/** DATABYTES in the environment wins; empty means no limit, as in qmail. What is no size changes nothing: `rules compile`
 *  and the log name it. */
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
