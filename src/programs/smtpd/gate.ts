/** The gate: the checks of a client, beyond the syntax of its commands, at each stage of a session. The session asks the gate
 *  and obeys; the gate chooses the checks. Answers that need no waiting come synchronously. */
import type { ByteString } from '../../base/byte-string.ts'
import type { ContentReader } from '../../clients/queue/reading-enqueuer.ts'
import type { RecipientCounts } from './plug-ins/session.ts'
import type { Reply } from '../../protocols/smtp/replies.ts'
import type { Environment } from '../../servers/listener/peer.ts'

export type Stage = 'connection' | 'helo' | 'mail' | 'rcpt' | 'data'

/** What a session knows at a stage; empty where it does not know yet. */
export interface Facts {
  readonly helo: ByteString
  readonly sender: ByteString
  readonly recipient: ByteString
  readonly counts: RecipientCounts
  /** rcpthosts, or RELAYCLIENT, allow the recipient. */
  readonly recipientAllowed: boolean
}

export interface Verdict {
  /** Refuses the command; undefined lets it pass. */
  readonly refusal: Reply | undefined
  /** Afterwards the connection is closed. */
  readonly drop: boolean
  /** The check that refused; empty if none did. */
  readonly check: string
  /** Lines sent before the reply. */
  readonly printed: readonly ByteString[]
  /** badmailfrom at mail, rcpthosts at rcpt are skipped. */
  readonly skipOwnChecks: boolean
  /** Replaces the sender or the recipient from now on. */
  readonly address: ByteString | undefined
}

export const passed: Verdict = {
  refusal: undefined,
  drop: false,
  check: '',
  printed: [],
  skipOwnChecks: false,
  address: undefined,
}

export interface Gate {
  /** The session's environment with what this transaction's checks have set. */
  readonly environment: Environment
  /** One variable of it, for uses at every command: cheaper than building the whole environment. */
  variable(name: ByteString): ByteString | undefined
  at(stage: Stage, facts: Facts): Verdict | Promise<Verdict>
  /** The stage `content`, when a message begins: the checks that read it and answer after its last byte. Header lines of the
   *  first stand below those of the next. */
  readers(facts: Facts): readonly ContentReader[]
  /** Whole header lines for the message, below the Received line. */
  headers(): ByteString
  /** RSET: also what was saved for the next MAIL. */
  reset(): void
  /** At the next MAIL, RSET, HELO, EHLO or the end of DATA: forgets what was for one transaction. */
  transactionEnded(): void
  /** Forgets what was learnt so far. `variables` belong to the connection from now on: those that ucspi-ssl and fixsmtpio set
   *  when TLS has begun. */
  tlsStarted(variables: Environment): void
}

/** A gate without checks. */
export function openGate(environment: Environment): Gate {
  const nothing = (): void => undefined
  return {
    environment,
    variable: (name) => environment.get(name),
    at: () => passed,
    readers: () => [],
    headers: () => '',
    reset: nothing,
    transactionEnded: nothing,
    tlsStarted: nothing,
  }
}
