/** Checks a login: combines stored credentials, the guard, and lspawn's answer.
 *  Knows:  that a locked name is not checked, and that a client is let in only after lspawn has the ticket.
 *  Never:  tells the peer more than the contract's reason; details are for the log.
 *  Fails:  `temporary` for whatever cannot be determined. */
import { type ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { Rejection } from '../../contracts/auth.ts'
import { passwordBytesMax, type SessionPeer, ticketBytes } from '../../contracts/sessions.ts'
import type { Admission, TicketClient } from '../../clients/tickets/ticket-client.ts'
import type { ScramOffer } from '../../protocols/sasl/step.ts'
import type { ScramVerifier } from '../../protocols/sasl/scram-verifier.ts'
import { type AccountCredentials, hasLost } from '../../stores/credentials/credential-lines.ts'
import { spellings } from '../../stores/credentials/spellings.ts'
import type { Random } from '../../system/random.ts'
import type { Slots } from '../../system/slots.ts'
import type { LoginGuard } from './guard.ts'
import { type Identity, identify, systemUser } from './identity.ts'
import { hashWaitMillisecondsMax } from './limits.ts'
import type { Passwords } from './passwords.ts'
import type { Tokens } from './tokens.ts'

/** Texts by the outcome of a question to lspawn, whose log has the details. */
const troubles = {
  'no-answer': 'no answer from lspawn',
  admit: 'lspawn has no place for another login',
  check: 'the password checker cannot tell now; the log of lspawn says why',
} as const

const unreadable = 'its lines of auth/passwd cannot be read: set its password again'

export interface AuthenticatorParts {
  readonly accounts: () => Promise<ReadonlyMap<ByteString, AccountCredentials>>
  /** Its stored lines cannot be read: a right password must not count as a guess. */
  readonly isUnreadable: (account: ByteString) => boolean
  readonly passwords: Passwords
  readonly guard: LoginGuard
  readonly tickets: Pick<TicketClient, 'admit' | 'check'>
  readonly checks: Slots
  readonly tokens: Pick<Tokens, 'verify'>
  readonly random: Random
  /** control/envnoathost. */
  readonly ownHost: () => ByteString
  /** control/locals: domains whose addresses are the machine's own users. */
  readonly locals: () => readonly ByteString[]
  /** control/checkpassword exists. */
  readonly hasChecker: () => boolean
  /** Rejects if the uid cannot be determined. */
  readonly uidOf: (user: ByteString) => Promise<number | undefined>
}

export type Verdict =
  | {
      readonly kind: 'accepted'
      readonly account: ByteString
      readonly ticket: ByteString
      /** Label of the password that was used; empty for the main one. */
      readonly label: string
    }
  | {
      readonly kind: 'rejected'
      readonly why: Rejection
      readonly reason: string
      /** The same guess was counted before. */
      readonly isRepeated?: boolean
    }

export type Rejected = Extract<Verdict, { kind: 'rejected' }>

/** The peer that logs in. */
export interface Claimant {
  readonly peer: SessionPeer
  /** Aborted when no one waits for the verdict any more. */
  readonly gone: AbortSignal
}

export interface PasswordClaim {
  readonly password: ByteString
  /** The account to act for (SASL authzid); empty: the name's own. */
  readonly authorize: ByteString
}

export class Authenticator {
  private readonly parts: AuthenticatorParts

  constructor(parts: AuthenticatorParts) {
    this.parts = parts
  }

  async identify(name: ByteString): Promise<Identity> {
    return identify(name, await this.parts.accounts(), this.parts.ownHost())
  }

  async password(identity: Identity, claim: PasswordClaim, claimant: Claimant): Promise<Verdict> {
    return await this.guarded(identity.account, claimant.peer, async () => {
      if (this.parts.isUnreadable(identity.account)) return temporary(unreadable)
      const isOurs = identity.known !== undefined || !this.parts.hasChecker()
      return isOurs
        ? await this.ownPassword(identity, claim, claimant)
        : await this.foreignPassword(identity, claim, claimant)
    })
  }

  /** Salt and iterations for SCRAM's first step, or why the login ends here. */
  async offer(identity: Identity, authorize: ByteString, peer: SessionPeer): Promise<ScramOffer | Rejected> {
    const locked = this.enter(identity.account, peer)
    if (locked !== undefined) return locked
    this.parts.guard.leave(peer.remoteIp, identity.account)
    if (this.parts.isUnreadable(identity.account)) return temporary(unreadable)
    const offer = this.parts.passwords.offer(identity)
    try {
      const barred = await this.barred(identity.account)
      const isNobody = barred !== undefined || !(await this.isSame(authorize, identity.account))
      return isNobody ? { ...offer, verifiers: [] } : offer
    } catch (error) {
      return temporary(describeError(error))
    }
  }

  /** Checks a proof under the guard: `act` returns whether it was wrong. */
  prove<T>(account: ByteString, peer: SessionPeer, act: () => { isWrong: boolean; result: T }): T | Rejected {
    const locked = this.enter(account, peer)
    if (locked !== undefined) return locked
    try {
      const { isWrong, result } = act()
      if (isWrong) this.parts.guard.failed(peer.remoteIp, account)
      return result
    } finally {
      this.parts.guard.leave(peer.remoteIp, account)
    }
  }

  async proven(identity: Identity, verifier: ScramVerifier, peer: SessionPeer): Promise<Verdict> {
    const { account, known } = identity
    this.parts.guard.succeeded(peer.remoteIp, account)
    const label = known?.credentials.find(({ scram }) => scram?.storedKey === verifier.storedKey)?.label ?? ''
    return await this.admit(identity, label, peer)
  }

  /** Bad tokens count only against the peer: they cannot be guessed, and must not lock an account. */
  async token(token: string, authorize: ByteString, peer: SessionPeer): Promise<Verdict> {
    const locked = this.enter('', peer)
    if (locked !== undefined) return locked
    const { guard, tokens } = this.parts
    try {
      const found = await tokens.verify(token)
      if (found.kind === 'bad') {
        if (!found.isStale) guard.failed(peer.remoteIp, '')
        return wrong(found.reason)
      }
      const identity = await this.identify(found.name)
      const barred = await this.barred(identity.account)
      if (barred !== undefined) return barred
      if (!(await this.isSame(authorize, identity.account))) return wrong('on behalf of another account')
      guard.succeeded(peer.remoteIp, identity.account)
      return await this.admit(identity, '', peer)
    } catch (error) {
      return temporary(describeError(error))
    } finally {
      guard.leave(peer.remoteIp, '')
    }
  }

  private async ownPassword(
    identity: Identity,
    { password, authorize }: PasswordClaim,
    { peer, gone }: Claimant,
  ): Promise<Verdict> {
    const { account } = identity
    const ip = peer.remoteIp
    const isUrgent = this.parts.guard.isKnown(ip, account)
    const verdict = await this.parts.passwords.verify(identity, password, { ip, isUrgent, gone })
    if (verdict.kind === 'full') return temporary(gone.aborted ? 'nobody waits any more' : 'too many passwords at once')
    if (verdict.kind === 'wrong') return { ...wrong(verdict.reason), isRepeated: verdict.isRepeated }
    const barred = await this.barred(account)
    if (barred !== undefined) return barred
    if (!(await this.isSame(authorize, identity.account))) return wrong('on behalf of another account')
    this.parts.guard.succeeded(peer.remoteIp, account)
    return await this.admit(identity, verdict.label, peer)
  }

  private async foreignPassword(
    { account }: Identity,
    { password, authorize }: PasswordClaim,
    { peer, gone }: Claimant,
  ): Promise<Verdict> {
    if (password.length > passwordBytesMax) return wrong('longer than a password checker reads')
    const ticket = this.newTicket()
    const isSame = await this.isSame(authorize, account)
    const check = (): Promise<Admission> => this.parts.tickets.check(ticket, account, password, peer)
    const found = await this.parts.checks.run(check, { millisecondsMax: hashWaitMillisecondsMax, signal: gone })
    if (found === 'full') return temporary('too many password checkers at once')
    if (!found.admitted) {
      if (found.why === 'failed') return wrong('the password checker says no')
      return temporary(troubles[found.why === 'no-answer' ? 'no-answer' : 'check'])
    }
    // The account found may have another name than the one typed.
    const barred = (await this.barred(account)) ?? (await this.barred(found.account))
    if (barred !== undefined) return barred
    if (!isSame) return wrong('on behalf of another account')
    this.parts.guard.succeeded(peer.remoteIp, account)
    return { kind: 'accepted', account: found.account, ticket, label: '' }
  }

  private async admit({ account, known }: Identity, label: string, peer: SessionPeer): Promise<Verdict> {
    // A check takes time: the password may have been removed meanwhile, and the account's sessions ended.
    const kept = await this.parts.accounts()
    if (hasLost(known, kept.get(account)) || this.isDisabled(kept, account))
      return temporary('a password was taken away just now')
    const ticket = this.newTicket()
    const admission = await this.parts.tickets.admit(ticket, account, peer)
    if (!admission.admitted) {
      if (admission.why === 'failed') return temporary('lspawn does not know the account')
      return temporary(troubles[admission.why === 'no-answer' ? 'no-answer' : 'admit'])
    }
    return { kind: 'accepted', account: admission.account, ticket, label }
  }

  private async guarded(account: ByteString, peer: SessionPeer, act: () => Promise<Verdict>): Promise<Verdict> {
    const locked = this.enter(account, peer)
    if (locked !== undefined) return locked
    const { guard } = this.parts
    try {
      const verdict = await act()
      const isFailure = verdict.kind === 'rejected' && verdict.why === 'credentials'
      if (isFailure && verdict.isRepeated !== true) guard.failed(peer.remoteIp, account)
      return verdict
    } catch (error) {
      return temporary(describeError(error))
    } finally {
      guard.leave(peer.remoteIp, account)
    }
  }

  private enter(account: ByteString, peer: SessionPeer): Rejected | undefined {
    switch (this.parts.guard.enter(peer.remoteIp, account)) {
      case 'free':
        return undefined
      case 'busy':
        return temporary('too many attempts at once')
      case 'peer':
        return { kind: 'rejected', why: 'locked', reason: 'locked: too many failures from this address' }
      case 'account':
        return { kind: 'rejected', why: 'locked', reason: 'locked: too many failures for this account' }
    }
  }

  /** No account may act for another. */
  private async isSame(authorize: ByteString, account: ByteString): Promise<boolean> {
    return authorize === '' || (await this.identify(authorize)).account === account
  }

  /** A right password of root (checknotroot), or of an account disabled under any of its names, looks like a wrong one. */
  private async barred(account: ByteString): Promise<Rejected | undefined> {
    if (this.isDisabled(await this.parts.accounts(), account)) return wrong('disabled')
    return (await this.isSuperuser(account)) ? wrong('uid 0') : undefined
  }

  private isDisabled(kept: ReadonlyMap<ByteString, AccountCredentials>, account: ByteString): boolean {
    const { ownHost, locals } = this.parts
    return spellings(account, ownHost(), locals()).some((name) => kept.get(name)?.disabled === true)
  }

  private async isSuperuser(account: ByteString): Promise<boolean> {
    const user = systemUser(account, [this.parts.ownHost(), ...this.parts.locals()])
    return user !== undefined && (await this.parts.uidOf(user)) === 0
  }

  private newTicket(): ByteString {
    return this.parts.random.bytes(ticketBytes).toString('latin1')
  }
}

function wrong(reason: string): Rejected {
  return { kind: 'rejected', why: 'credentials', reason }
}

function temporary(reason: string): Rejected {
  return { kind: 'rejected', why: 'temporary', reason: `temporary: ${reason}` }
}
