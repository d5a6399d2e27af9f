/** Whose a bearer token is (RFC 7519, RFC 9068): jose verifies it with keys that the program issuers fetched.
 *  Knows:  control/oauthissuers; that an expired token is no guess.
 *  Fails:  an invalid token is `bad`, with a reason for the log that quotes nothing of it. */
import { type ByteString, fromText } from '../../base/byte-string.ts'
import { type Issuer, parseIssuer } from '../../protocols/oauth/issuers.ts'
import { readIssuerKeys } from '../../stores/issuer-keys/issuer-keys.ts'
import type { Home } from '../../stores/home/layout.ts'
import type { Clock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { issuerKeysMilliseconds, tokenSkewSeconds } from './limits.ts'

export type TokenVerdict =
  | { readonly kind: 'good'; readonly name: ByteString }
  /** `isStale`: it has expired; clients try such a token before they ask for another. */
  | { readonly kind: 'bad'; readonly isStale: boolean; readonly reason: string }

type Jose = typeof import('jose')
type KeySet = ReturnType<Jose['createLocalJWKSet']>

/** Key pairs only: a shared secret would let the issuer's other clients sign, too. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

export class Tokens {
  private readonly home: Home
  private readonly clock: Clock
  private readonly lines: () => readonly ByteString[]
  private sets = new Map<string, KeySet>()
  private readAt = Number.NEGATIVE_INFINITY

  /** `lines`: of control/oauthissuers. */
  constructor(home: Home, clock: Clock, lines: () => readonly ByteString[]) {
    this.home = home
    this.clock = clock
    this.lines = lines
  }

  get isConfigured(): boolean {
    return this.lines().some((line) => parseIssuer(line) !== undefined)
  }

  /** Rejects if the keys cannot be read. */
  async verify(token: string): Promise<TokenVerdict> {
    // Loaded late: it costs 30 ms and memory, which an authd without issuers does not need.
    const jose = await import('jose')
    const issuer = this.issuerOf(jose, token)
    if (issuer === undefined) return bad('a token of no issuer of ours')
    await this.refresh(jose)
    const keys = this.sets.get(issuer.url)
    if (keys === undefined) throw new Error('the issuer’s keys are not known yet')
    try {
      const { payload } = await jose.jwtVerify(token, keys, {
        issuer: issuer.url,
        audience: issuer.audience,
        algorithms,
        clockTolerance: tokenSkewSeconds,
        requiredClaims: ['exp', issuer.claim],
        currentDate: new Date(this.clock.now()),
      })
      const name = payload[issuer.claim]
      if (typeof name !== 'string' || name === '') return bad('a token without an address')
      if (issuer.claim === 'email' && payload['email_verified'] === false) return bad('an address that is not verified')
      return { kind: 'good', name: fromText(name) }
    } catch (error) {
      if (error instanceof jose.errors.JWTExpired) return { kind: 'bad', isStale: true, reason: 'an expired token' }
      return bad(`a bad token: ${error instanceof jose.errors.JOSEError ? error.code : 'it cannot be verified'}`)
    }
  }

  /** The issuer that the token claims; the signature proves it later. */
  private issuerOf(jose: Jose, token: string): Issuer | undefined {
    try {
      const { iss } = jose.decodeJwt(token)
      return this.lines()
        .map(parseIssuer)
        .find((issuer) => issuer !== undefined && issuer.url === iss)
    } catch {
      return undefined
    }
  }

  private async refresh(jose: Jose): Promise<void> {
    if (this.clock.monotonic() - this.readAt < issuerKeysMilliseconds) return
    const keys = await readIssuerKeys(realFiles, this.home)
    this.readAt = this.clock.monotonic()
    this.sets = new Map([...keys].map(([issuer, set]) => [issuer, jose.createLocalJWKSet({ keys: [...set] })]))
  }
}

function bad(reason: string): TokenVerdict {
  return { kind: 'bad', isStale: false, reason }
}
