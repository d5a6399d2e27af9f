/** Whether a password is one of an account's. The work is the same for every name, known or not: one key derivation with the
 *  account's salt, which selects the candidate among its passwords, and one argon2id. (Passwords without a verifier, or with a
 *  foreign salt, cost an argon2id each.)
 *  Fails:  `full` if no slot was free in time; rejects if argon2 cannot run. */
import { type ByteString, fromText } from '../../base/byte-string.ts'
import { deriveScramVerifier } from '../../protocols/sasl/scram-verifier.ts'
import type { ScramOffer } from '../../protocols/sasl/step.ts'
import type { Credential } from '../../stores/credentials/credential-lines.ts'
import { scramDigests, scramIterations } from '../../stores/credentials/derive.ts'
import { prepareText, textFromClient } from '../../stores/credentials/prepare-text.ts'
import type { Clock } from '../../system/clock.ts'
import { hmacSha256, sameBytes } from '../../system/digests.ts'
import { dummyPasswordHash, verifyPassword } from '../../system/password-hash.ts'
import type { Random } from '../../system/random.ts'
import { Slots } from '../../system/slots.ts'
import type { Identity } from './identity.ts'
import { RecentVerdicts } from './recent-verdicts.ts'
import { hashesAtOnceMax, hashesWaitingMax, hashWaitMillisecondsMax, repeatLimits, successLimits } from './limits.ts'

export type PasswordVerdict =
  | { readonly kind: 'right'; readonly label: string }
  /** `isRepeated`: the same peer tried the same password before. */
  | { readonly kind: 'wrong'; readonly reason: string; readonly isRepeated: boolean }
  | { readonly kind: 'full' }

const saltBytes = 16

export interface PasswordOrigin {
  readonly ip: string
  /** It comes from a network that the account has used lately. */
  readonly isUrgent: boolean
  /** Aborted when no one waits for the answer any more. */
  readonly gone: AbortSignal
}

export class Passwords {
  private readonly saltKey: ByteString
  private readonly slots: Slots
  private readonly right: RecentVerdicts
  private readonly wrong: RecentVerdicts
  private readonly dummy = dummyPasswordHash()

  constructor(saltKey: ByteString, clock: Clock, random: Random) {
    this.saltKey = saltKey
    this.slots = new Slots({ atOnceMax: hashesAtOnceMax, waitingMax: hashesWaitingMax }, clock)
    this.right = new RecentVerdicts(clock, random, successLimits)
    this.wrong = new RecentVerdicts(clock, random, repeatLimits)
  }

  /** SCRAM's salt and iterations for a name; without a verifier the offer looks the same, and no proof succeeds. */
  offer({ account, known }: Identity): ScramOffer {
    const all = known === undefined ? [] : known.credentials.map(({ scram }) => scram)
    const first = all.find((scram) => scram !== undefined)
    if (first === undefined) {
      const salt = hmacSha256(this.saltKey, account).slice(0, saltBytes)
      return { salt, iterations: scramIterations, verifiers: [] }
    }
    const { salt, iterations } = first
    const usable = all.filter((one) => one !== undefined && one.salt === salt && one.iterations === iterations)
    const verifiers = known?.disabled === true ? [] : usable.filter((one) => one !== undefined)
    return { salt, iterations, verifiers }
  }

  async verify(identity: Identity, password: ByteString, origin: PasswordOrigin): Promise<PasswordVerdict> {
    const { ip, isUrgent, gone } = origin
    const remembered = (): PasswordVerdict | undefined => this.remembered(identity.account, password, ip)
    // A mail program opens several connections with one password: the first verdict holds for those that waited.
    const verdict = (): Promise<PasswordVerdict> => Promise.resolve(remembered() ?? this.find(identity, password, ip))
    const wish = { millisecondsMax: hashWaitMillisecondsMax, isUrgent, signal: gone }
    const found = remembered() ?? (await this.slots.run(verdict, wish))
    return found === 'full' ? { kind: 'full' } : found
  }

  /** To be called when the file has changed. */
  forget(): void {
    this.right.clear()
    this.wrong.clear()
  }

  private remembered(account: ByteString, password: ByteString, ip: string): PasswordVerdict | undefined {
    const label = this.right.find([account], password)
    if (label !== undefined) return { kind: 'right', label }
    const before = this.wrong.find([ip, account], password)
    return before === undefined ? undefined : { kind: 'wrong', reason: `${before}, as before`, isRepeated: true }
  }

  private async find(identity: Identity, password: ByteString, ip: string): Promise<PasswordVerdict> {
    const { account, known } = identity
    const candidates = known === undefined || known.disabled ? [] : known.credentials
    const found = await this.search(candidates, this.offer(identity), textFromClient(password))
    if (found !== undefined) {
      this.right.add([account], password, found.label)
      return { kind: 'right', label: found.label }
    }
    const reason = known === undefined ? 'no such account' : known.disabled ? 'disabled' : 'wrong password'
    this.wrong.add([ip, account], password, reason)
    return { kind: 'wrong', reason, isRepeated: false }
  }

  private async search(
    candidates: readonly Credential[],
    { salt, iterations }: ScramOffer,
    password: string,
  ): Promise<Credential | undefined> {
    const prepared = prepareText(password)
    // A text that RFC 4013 forbids is never a password, but must take as long.
    const tried = prepared ?? password
    const { storedKey } = await deriveScramVerifier(scramDigests, fromText(tried), salt, iterations)
    const isOffered = ({ scram }: Credential): boolean => scram?.salt === salt && scram.iterations === iterations
    const meant = candidates.find((one) => isOffered(one) && sameBytes(one.scram?.storedKey ?? '', storedKey))
    const toTry = meant === undefined ? candidates.filter((one) => !isOffered(one)) : [meant]
    if (toTry.length === 0) await verifyPassword(tried, this.dummy)
    let found: Credential | undefined
    for (const one of toTry) if (await verifyPassword(tried, one.hash)) found ??= one
    return prepared === undefined ? undefined : found
  }
}
