/** Who is locked out: failures are counted by peer (an IPv4 address, an IPv6 /64) and by account, and each one beyond the limit
 *  doubles the lock. An account's lock does not apply to networks (IPv4 /24, IPv6 /48) from which it logged in lately, so that
 *  guessing from elsewhere locks out only elsewhere.
 *  Knows:  nothing about which accounts exist: unknown names are treated the same.
 *  Fails:  never: a store that cannot be used is set aside, or replaced by one in memory, with an alert. */
import ipaddr from 'ipaddr.js'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import {
  type Failures,
  type FailuresRow,
  LoginGuardStore,
  type Subject,
} from '../../stores/login-guard/login-guard-store.ts'
import type { Clock } from '../../system/clock.ts'
import { SmallDatabaseError } from '../../system/small-database.ts'
import {
  expireAgainMilliseconds,
  expireMilliseconds,
  failuresShownMax,
  forgetMilliseconds,
  locksFrom,
  checkedAtOnceMax,
  knownNetworkMilliseconds,
  lockMillisecondsMax,
  lockedLookedAtMax,
  lockMillisecondsMin,
} from './limits.ts'

export interface GuardParts {
  /** HOME/auth. */
  readonly directory: string
  readonly clock: Clock
  readonly onAlert: (text: string) => void
}

/** `peer`, `account`: which of them is locked. `busy`: too many checks at once. */
export type Entry = 'free' | 'peer' | 'account' | 'busy'

export class LoginGuard {
  private readonly parts: GuardParts
  private store: LoginGuardStore
  private readonly underCheck = new Map<string, number>()
  private cancelExpiry = (): void => undefined
  /** The latest reading of the clock: an earlier one means that it was set back. */
  private latestMs = Number.POSITIVE_INFINITY

  constructor(parts: GuardParts) {
    this.parts = parts
    this.store = this.opened()
    this.expireIn(expireAgainMilliseconds)
  }

  /** Asks whether a password may be checked; after `free` the caller must call `leave`. An empty account (none was named) is
   *  neither counted nor locked. */
  enter(ip: string, account: ByteString): Entry {
    const peer = peerName(ip)
    const known = this.isKnown(ip, account)
    const locks = [
      ['peer', peer],
      ...(known || account === '' ? [] : [['account', account] as const]),
    ] as const satisfies readonly (readonly [Subject, string])[]
    for (const [subject, name] of locks) {
      const failures = this.failures(subject, name)
      // A peer whose failures were all for one account is locked only for that one: a forgotten device does not lock out its
      // household.
      const isConcerned = failures !== undefined && (failures.only === '' || failures.only === account)
      if (isConcerned && failures.untilMs > this.now()) return subject
      const max = !isConcerned || failures.count < locksFrom[subject] ? checkedAtOnceMax : 1
      if ((this.underCheck.get(`${subject} ${name}`) ?? 0) >= max) return 'busy'
    }
    this.count(peer, account, 1)
    return 'free'
  }

  leave(ip: string, account: ByteString): void {
    this.count(peerName(ip), account, -1)
  }

  failed(ip: string, account: ByteString): void {
    const peer = peerName(ip)
    const before = this.failures('peer', peer)
    const only = before === undefined || before.only === account ? account : ''
    this.add('peer', peer, before, only)
    if (account !== '') this.add('account', account, this.failures('account', account), '')
  }

  succeeded(ip: string, account: ByteString): void {
    const peer = peerName(ip)
    this.use((store) => {
      store.setSuccess(account, networkName(ip), this.now())
      // The user mistyped their own password. Failures on other accounts stay counted.
      if (store.failures('peer', peer)?.only === account) store.forget('peer', peer)
    })
  }

  /** The account has logged in from that network lately. */
  isKnown(ip: string, account: ByteString): boolean {
    const last = this.use((store) => store.lastSuccess(account, networkName(ip)))
    return last !== undefined && last > this.now() - knownNetworkMilliseconds
  }

  list(): FailuresRow[] {
    const oldest = this.now() - forgetMilliseconds
    const found = this.use((store) => store.list(failuresShownMax)) ?? []
    return found.filter(({ lastMs }) => lastMs >= oldest)
  }

  /** Locked accounts that exist, by `isKept` or by a past login: anybody can have an unknown name locked, which is no
   *  trouble. */
  lockedAccounts(isKept: (account: ByteString) => boolean): FailuresRow[] {
    const locked = this.use((store) => store.lockedAccounts(this.now(), lockedLookedAtMax)) ?? []
    return locked.filter(({ name }) => isKept(name) || this.use((store) => store.hasSucceeded(name)) === true)
  }

  /** `who`: a peer's address, or an account. False if no failures were counted. */
  forgive(who: ByteString): boolean {
    return (
      this.use((store) => [store.forget('peer', peerName(who)), store.forget('account', who)].includes(true)) ?? false
    )
  }

  close(): void {
    this.cancelExpiry()
    this.use((store) => store.close())
  }

  /** At the start, and after the clock was set back, times stored in the future are set to now. */
  private now(): number {
    const now = this.parts.clock.now()
    if (now < this.latestMs) this.use((store) => store.bringBack(now, lockMillisecondsMax))
    this.latestMs = now
    return now
  }

  private failures(subject: Subject, name: ByteString): Failures | undefined {
    const found = this.use((store) => store.failures(subject, name))
    return found === undefined || found.lastMs < this.now() - forgetMilliseconds ? undefined : found
  }

  private add(subject: Subject, name: ByteString, before: Failures | undefined, only: ByteString): void {
    const now = this.now()
    const count = (before?.count ?? 0) + 1
    const tooMany = count - locksFrom[subject]
    const lock = tooMany < 0 ? 0 : Math.min(lockMillisecondsMax, lockMillisecondsMin * 2 ** Math.min(tooMany, 30))
    this.use((store) => store.setFailures(subject, name, { count, lastMs: now, untilMs: now + lock, only }))
  }

  private count(peer: string, account: ByteString, by: 1 | -1): void {
    for (const key of [`peer ${peer}`, ...(account === '' ? [] : [`account ${account}`])]) {
      const count = (this.underCheck.get(key) ?? 0) + by
      if (count <= 0) this.underCheck.delete(key)
      else this.underCheck.set(key, count)
    }
  }

  private use<T>(act: (store: LoginGuardStore) => T): T | undefined {
    try {
      return act(this.store)
    } catch (error) {
      this.replaceStore(error)
      return undefined
    }
  }

  private replaceStore(error: unknown): void {
    try {
      this.store.close()
    } catch {
      // It is not used any more.
    }
    if (error instanceof SmallDatabaseError && error.damaged) this.store = this.opened(error.message)
    else this.store = this.withoutDisk(error)
  }

  private opened(damage?: string): LoginGuardStore {
    const { directory, onAlert } = this.parts
    try {
      if (damage !== undefined) return LoginGuardStore.afresh(directory, damage, onAlert)
      return LoginGuardStore.open(directory, onAlert)
    } catch (error) {
      return this.withoutDisk(error)
    }
  }

  private withoutDisk(error: unknown): LoginGuardStore {
    this.parts.onAlert(`${describeError(error)}; failed logins are counted in memory until authd starts again`)
    return LoginGuardStore.inMemory()
  }

  private expireIn(milliseconds: number): void {
    this.cancelExpiry()
    this.cancelExpiry = this.parts.clock.after(milliseconds, () => {
      const now = this.now()
      const more = this.use((store) => store.expire(now - forgetMilliseconds, now - knownNetworkMilliseconds))
      this.expireIn(more === true ? expireAgainMilliseconds : expireMilliseconds)
    })
  }
}

function peerName(ip: string): string {
  return networkOf(ip, 32, 64)
}

function networkName(ip: string): string {
  return networkOf(ip, 24, 48)
}

/** A text that is no address is its own network: it can only come from a broken front. */
function networkOf(text: string, bits4: number, bits6: number): string {
  // A link-local address may name its interface, which is no part of its network.
  const [ip = ''] = text.split('%')
  if (!ipaddr.isValid(ip)) return text
  const address = ipaddr.process(ip)
  if (address.kind() === 'ipv4')
    return bits4 === 32
      ? address.toString()
      : `${ipaddr.IPv4.networkAddressFromCIDR(`${address.toString()}/${bits4}`).toString()}/${bits4}`
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toNormalizedString()}/${bits6}`).toString()}/${bits6}`
}
