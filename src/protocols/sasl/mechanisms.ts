/** The mechanisms that a server of ours can speak, strongest first, and how each begins. */
import type { ByteString } from '../../base/byte-string.ts'
import { beginOauthBearer, beginXoauth2 } from './oauth.ts'
import { beginLogin, beginPlain } from './passwords.ts'
import { beginScram, type ScramMeans } from './scram.ts'
import type { SaslStep } from './step.ts'

export const mechanisms = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'PLAIN', 'LOGIN', 'OAUTHBEARER', 'XOAUTH2'] as const
export type Mechanism = (typeof mechanisms)[number]

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
