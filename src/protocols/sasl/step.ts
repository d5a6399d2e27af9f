/** The next step of the server's side of a SASL exchange (RFC 4422). Each step says how the exchange goes on, so its only
 *  state is its last step.
 *  Never:  authenticates a client: a claim is handed to the caller, which checks it. */
import type { ByteString } from '../../base/byte-string.ts'
import type { ScramVerifier } from './scram-verifier.ts'

export type SaslStep =
  /** To be sent; `next` takes the client's response. */
  | { readonly kind: 'challenge'; readonly data: ByteString; next(response: ByteString): SaslStep }
  /** PLAIN, LOGIN: is this the password? The exchange ends with the answer. */
  | {
      readonly kind: 'password'
      readonly name: ByteString
      readonly password: ByteString
      /** Authorization identity; empty: the same. */
      readonly authorize: ByteString
    }
  /** SCRAM: what is kept of that name? `resume` takes one salt and all verifiers that have it. */
  | {
      readonly kind: 'verifiers'
      readonly name: ByteString
      readonly authorize: ByteString
      resume(offer: ScramOffer): SaslStep
    }
  /** SCRAM: the client has proven that it knows the secret of this verifier. */
  | { readonly kind: 'proven'; readonly verifier: ScramVerifier }
  /** OAUTHBEARER, XOAUTH2: is the token good? If not, `fail` is how it goes on. */
  | {
      readonly kind: 'token'
      /** Empty: the account that the token names. */
      readonly authorize: ByteString
      readonly token: ByteString
      fail(): SaslStep
    }
  /** The claim is false. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Not what the mechanism says. */
  | { readonly kind: 'malformed'; readonly reason: string }

export interface ScramOffer {
  readonly salt: ByteString
  readonly iterations: number
  /** None: the exchange goes on, and fails at its end. */
  readonly verifiers: readonly ScramVerifier[]
}

export function malformed(reason: string): SaslStep {
  return { kind: 'malformed', reason }
}

export function refused(reason: string): SaslStep {
  return { kind: 'refused', reason }
}

/** For a mechanism in which the client speaks first. */
export function clientFirst(initial: ByteString | undefined, next: (response: ByteString) => SaslStep): SaslStep {
  return initial === undefined ? { kind: 'challenge', data: '', next } : next(initial)
}
