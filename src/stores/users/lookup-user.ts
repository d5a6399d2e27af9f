/** Who owns a mailbox: users/cdb, else the machine's accounts as qmail-getpw looks them up, else the account alias.
 *  Knows:  the order, the conditions on an account. Never: caches; see AccountBook.
 *  Fails:  with a status of qmail-lspawn. */
import { stat } from 'node:fs/promises'
import { type ByteString, fromText } from '../../base/byte-string.ts'
import { describeError, type Failure } from '../../base/outcome.ts'
import { isTemporaryErrno } from '../../protocols/qmail/errno-text.ts'
import { lspawnStatuses } from '../../protocols/qmail/delivery-status.ts'
import { aliasSplit, splitsOf, type UserRecord } from '../../protocols/qmail/users-lookup.ts'
import { type Account, askAhead, findAccount } from '../../system/accounts.ts'
import { type Clock, realClock, within } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { pathOf } from '../../system/quick-files.ts'
import { Remembered } from '../../system/remembered.ts'
import type { Home } from '../home/layout.ts'
import { UsersDatabase } from './users-database.ts'

export type Lookup =
  | { readonly kind: 'user'; readonly record: UserRecord }
  /** The reason is for the log; empty if the failure says all. */
  | { readonly kind: 'failed'; readonly failure: Failure; readonly reason: string }

export interface UserWorld {
  /** Undefined in a demo, which knows only users/cdb and the alias. */
  readonly accounts: AccountBook | undefined
  /** The account that gets mail without an owner; undefined if there is none. */
  readonly alias: () => Promise<Pick<Account, 'name' | 'uid' | 'gid'> | undefined>
}

export class UserLookup {
  private readonly home: Home
  private readonly database: UsersDatabase
  private readonly world: UserWorld

  constructor(home: Home, world: UserWorld) {
    this.home = home
    this.database = new UsersDatabase(home)
    this.world = world
  }

  /** `local` is all before the last `@`. */
  async lookup(local: ByteString): Promise<Lookup> {
    let assigned: UserRecord | undefined
    try {
      assigned = this.database.lookup(local)
    } catch (error) {
      return { kind: 'failed', failure: lspawnStatuses.usersTrouble, reason: describeError(error) }
    }
    return assigned === undefined ? this.lookupByAccounts(local) : { kind: 'user', record: assigned }
  }

  /** As qmail-getpw, which knows nothing of users/cdb. */
  async lookupByAccounts(local: ByteString): Promise<Lookup> {
    try {
      return (await this.lookupAccount(local)) ?? (await this.aliasOf(local))
    } catch (error) {
      const failure = error instanceof HomeTrouble ? lspawnStatuses.homeTrouble : lspawnStatuses.accountsTrouble
      return { kind: 'failed', failure, reason: describeError(error) }
    }
  }

  private async lookupAccount(local: ByteString): Promise<Lookup | undefined> {
    const { accounts } = this.world
    if (accounts === undefined) return undefined
    const splits = [...splitsOf(local)]
    await accounts.askAhead(splits.map(({ user }) => user))
    for (const { user, dash, ext } of splits) {
      const account = await accounts.mailUser(user)
      if (account === undefined) continue
      const { name, uid, gid, home } = account
      return { kind: 'user', record: { user: name, uid, gid, home, dash, ext } }
    }
    return undefined
  }

  private async aliasOf(local: ByteString): Promise<Lookup> {
    const account = await this.world.alias()
    if (account === undefined) return { kind: 'failed', failure: lspawnStatuses.noAlias, reason: '' }
    const { name, uid, gid } = account
    return { kind: 'user', record: { user: name, uid, gid, home: fromText(this.home.alias), ...aliasSplit(local) } }
  }
}

/** The home cannot be examined now. */
class HomeTrouble extends Error {
  override name = 'HomeTrouble'
}

const rememberedLimits = { milliseconds: 5_000, countMax: 10_000 } as const
const homeMillisecondsMax = 10_000

/** What the machine says about accounts. */
export interface AccountSource {
  find(name: string): Promise<Account | undefined>
  /** Starts looking up names that will be asked for one after the other. */
  askAhead?(names: readonly string[]): Promise<void>
  /** The uid that owns the home. Undefined if there is no such directory, and none is expected. */
  ownerOf(home: ByteString, uid: number): Promise<number | undefined>
}

/** Accounts of people, as useradd and adduser number them: a missing home of theirs is a fault, not a removal. */
const peopleUids = { first: 1000, last: 59_999 } as const

export const machineAccounts: AccountSource = {
  find: findAccount,
  askAhead,
  async ownerOf(home, uid) {
    try {
      return (await within(realClock, homeMillisecondsMax, 'home directory', stat(pathOf(home)))).uid
    } catch (error) {
      const code = errorCode(error)
      const isPerson = uid >= peopleUids.first && uid <= peopleUids.last
      // While a file system is not mounted, its users must not count as unknown.
      if (code === '' || isPerson || isTemporaryErrno(code)) throw new HomeTrouble(describeError(error))
      return undefined
    }
  },
}

/** Accounts that may get mail, remembered for a few seconds. Names come from the network. */
export class AccountBook {
  private readonly source: AccountSource
  private readonly remembered: Remembered<Account | undefined>

  constructor(clock: Clock, source: AccountSource = machineAccounts) {
    this.source = source
    this.remembered = new Remembered(clock, rememberedLimits)
  }

  /** Any account of this name. */
  account(name: string): Promise<Account | undefined> {
    return this.source.find(name)
  }

  async askAhead(names: readonly string[]): Promise<void> {
    await this.source.askAhead?.(names)
  }

  /** qmail-getpw's conditions: not uid 0, and the owner of a home that exists. */
  mailUser(name: string): Promise<Account | undefined> {
    return this.remembered.get(name, () => this.findMailUser(name))
  }

  private async findMailUser(name: string): Promise<Account | undefined> {
    const account = await this.source.find(name)
    if (account === undefined || account.uid === 0) return undefined
    return (await this.source.ownerOf(account.home, account.uid)) === account.uid ? account : undefined
  }
}
