/** The mechanisms that a server of ours can speak, strongest first, and how each begins. */
import type { ByteString } from '../../base/byte-string.ts'
import { beginOauthBearer, beginXoauth2 } from './oauth.ts'
import { beginLogin, beginPlain } from './passwords.ts'
import { beginScram, type ScramMeans } from './scram.ts'
import type { SaslStep } from './step.ts'

export const mechanisms = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'PLAIN', 'LOGIN', 'OAUTHBEARER', 'XOAUTH2'] as const
export type Mechanism = (typeof mechanisms)[number]

/** Without -PLUS: a mail program that finds it offered, and cannot bind to this TLS connection after all, gives up where
 *  SCRAM alone would have let it in (mutt of Debian 12 does). */
export const usualMechanisms: readonly Mechanism[] = mechanisms.filter((name) => !name.endsWith('-PLUS'))

/** In any case (RFC 4422 §3.1); undefined: none of ours. */
export function readMechanism(text: ByteString): Mechanism | undefined {
  const name = text.toUpperCase()
  return mechanisms.find((one) => one === name)
}

export function begin(mechanism: Mechanism, initial: ByteString | undefined, means: ScramMeans): SaslStep {
  switch (mechanism) {
    case 'SCRAM-SHA-256-PLUS':
      return beginScram(initial, true, means)
    case 'SCRAM-SHA-256':
      return beginScram(initial, false, means)
    case 'PLAIN':
      return beginPlain(initial)
    case 'LOGIN':
      return beginLogin(initial)
    case 'OAUTHBEARER':
      return beginOauthBearer(initial)
    case 'XOAUTH2':
      return beginXoauth2(initial)
  }
}
