/** One exchange: the mechanism's steps, and the authenticator's check of their claims. */
import type { ByteString } from '../../base/byte-string.ts'
import type { ChannelBindings } from '../../contracts/auth.ts'
import { begin, type Mechanism } from '../../protocols/sasl/mechanisms.ts'
import type { SaslStep } from '../../protocols/sasl/step.ts'
import { hmacSha256, sameBytes, sha256 } from '../../system/digests.ts'
import type { Random } from '../../system/random.ts'
import type { Identity } from './identity.ts'
import type { Claimant, Authenticator, Rejected, Verdict } from './authenticator.ts'

export interface ExchangeStart {
  readonly mechanism: Mechanism
  readonly initial: ByteString | undefined
  readonly bindings: ChannelBindings
}

export type ExchangeStep = { readonly kind: 'challenge'; readonly data: ByteString } | Verdict

const nonceBytes = 18

export class Exchange {
  private readonly authenticator: Authenticator
  private readonly claimant: Claimant
  private identity: Identity | undefined
  private next: ((response: ByteString) => SaslStep) | undefined
  private isProven = false
  private named: ByteString = ''
  /** Why a token was rejected, kept while the client is told. */
  private fault: Rejected | undefined

  constructor(authenticator: Authenticator, claimant: Claimant) {
    this.authenticator = authenticator
    this.claimant = claimant
  }

  /** The account, as far as the client has named it; for the log. */
  get account(): ByteString {
    return this.identity?.account ?? this.named
  }

  async begin({ mechanism, initial, bindings }: ExchangeStart, random: Random): Promise<ExchangeStep> {
    const nonce = random.bytes(nonceBytes).toString('base64')
    const means = { hmac: hmacSha256, hash: sha256, same: sameBytes, nonce, bindings }
    return await this.go(begin(mechanism, initial, means))
  }

  /** Only after a challenge. */
  async respond(response: ByteString): Promise<ExchangeStep> {
    const { next, identity } = this
    if (next === undefined) throw new Error('a response without a challenge')
    this.next = undefined
    if (identity === undefined || this.isProven) return await this.go(next(response))
    // SCRAM's proof: the name was said before it, so the guard can be asked.
    const checked = this.authenticator.prove(identity.account, this.claimant.peer, () => {
      const result = next(response)
      this.isProven = result.kind === 'challenge'
      return { isWrong: result.kind === 'refused', result }
    })
    return checked.kind === 'rejected' ? checked : await this.go(checked)
  }

  private async go(step: SaslStep): Promise<ExchangeStep> {
    switch (step.kind) {
      case 'challenge':
        this.next = (response) => step.next(response)
        return { kind: 'challenge', data: step.data }
      case 'password':
        this.identity = await this.authenticator.identify(step.name)
        return await this.authenticator.password(this.identity, step, this.claimant)
      case 'verifiers': {
        this.identity = await this.authenticator.identify(step.name)
        const offer = await this.authenticator.offer(this.identity, step.authorize, this.claimant.peer)
        return 'kind' in offer ? offer : await this.go(step.resume(offer))
      }
      case 'proven':
        if (this.identity === undefined) throw new Error('a proof without a name')
        return await this.authenticator.proven(this.identity, step.verifier, this.claimant.peer)
      case 'token': {
        this.named = step.authorize
        const verdict = await this.authenticator.token(step.token, step.authorize, this.claimant.peer)
        if (verdict.kind !== 'rejected' || verdict.why !== 'credentials') return verdict
        this.fault = verdict
        return await this.go(step.fail())
      }
      case 'refused':
        return this.fault ?? { kind: 'rejected', why: 'credentials', reason: step.reason }
      case 'malformed':
        return { kind: 'rejected', why: 'malformed', reason: `malformed: ${step.reason}` }
    }
  }
}
