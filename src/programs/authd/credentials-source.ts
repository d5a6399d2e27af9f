/** The present content of HOME/auth/passwd. A replaced file (as by `quaver account`) is read at once; one that is edited in
 *  place, when it has not changed for a second.
 *  Fails:  a file that cannot be read, or is missing although accounts exist, is reported once, and the last content stays in
 *          force. Without one every login is `temporary`: a right password must not count as a guess. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { type Trouble, troubleIn } from '../../contracts/troubles.ts'
import { type AccountCredentials, hasLost } from '../../stores/credentials/credential-lines.ts'
import { readCredentials } from '../../stores/credentials/credentials.ts'
import { credentialsPath, credentialsStamp } from '../../stores/credentials/credentials-file.ts'
import type { Home } from '../../stores/home/layout.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import { faultsToldMax, settledMilliseconds } from './limits.ts'

export interface SourceParts {
  readonly home: Home
  readonly clock: Clock
  readonly log: Log
  /** control/checkpassword is there. */
  readonly hasChecker: () => boolean
  /** Called after each reading; `lost`: accounts of which a password was removed that may have let a client in. */
  readonly onChange: (lost: readonly ByteString[]) => void
}

export class CredentialsSource {
  private readonly parts: SourceParts
  private accounts: ReadonlyMap<ByteString, AccountCredentials> = new Map()
  private unreadable: ReadonlySet<ByteString> = new Set()
  private verifiers = false
  /** Stamp of the content that was read last. */
  private stamp: string | undefined
  /** The latest stamp seen, and since when. */
  private seen = { stamp: '', sinceMs: 0 }
  private trouble = ''
  private reading: Promise<void> | undefined

  constructor(parts: SourceParts) {
    this.parts = parts
  }

  /** Reads the file again if needed. Rejects if it has never been read. */
  async current(): Promise<ReadonlyMap<ByteString, AccountCredentials>> {
    await this.look()
    if (this.stamp === undefined) throw new Error(`auth/passwd: ${this.trouble}`)
    return this.accounts
  }

  /** Reads the file again if needed; never rejects. */
  async look(): Promise<void> {
    this.reading ??= this.refresh().finally(() => (this.reading = undefined))
    await this.reading
  }

  /** By the last reading. */
  has(account: ByteString): boolean {
    return this.accounts.has(account)
  }

  /** By the last reading: the account has lines, and none can be read. */
  isUnreadable(account: ByteString): boolean {
    return this.unreadable.has(account)
  }

  /** Whether any account can use SCRAM. */
  get hasVerifiers(): boolean {
    return this.verifiers
  }

  troubles(): Trouble[] {
    const { trouble } = this
    if (trouble === '') return []
    return [{ kind: troubleIn(trouble)?.kind ?? 'unknown', where: credentialsPath(this.parts.home), text: trouble }]
  }

  private async refresh(): Promise<void> {
    try {
      const stamp = await credentialsStamp(this.parts.home)
      if (stamp === '' && this.isExpected()) throw new Error('it is missing, and there are accounts: bring it back')
      if (stamp === this.stamp) this.trouble = ''
      if (stamp === this.stamp || !this.isReady(stamp)) return
      const { accounts, unreadable, faults } = await readCredentials(this.parts.home)
      const before = this.stamp === undefined ? accounts : this.accounts
      this.stamp = stamp
      this.trouble = ''
      this.accounts = accounts
      this.unreadable = unreadable
      this.verifiers = [...accounts.values()].some(({ credentials }) => credentials.some(({ scram }) => scram))
      this.tell(faults)
      // An unreadable line does not count as removed.
      const names = new Set([...before.keys(), ...accounts.keys()]).difference(unreadable)
      this.parts.onChange([...names].filter((name) => hasLost(before.get(name), accounts.get(name))))
    } catch (error) {
      const trouble = describeError(error)
      const until = this.stamp === undefined ? 'nobody can log in' : 'what it said before stays in force'
      if (trouble !== this.trouble) this.parts.log(`alert: auth/passwd: ${trouble}; ${until}`)
      this.trouble = trouble
    }
  }

  /** A home with accounts has had the file, unless a checkpassword program checks all passwords. */
  private isExpected(): boolean {
    if (this.accounts.size > 0) return true
    const { home, hasChecker } = this.parts
    return !existsSync(home.auth) || (!hasChecker() && existsSync(join(home.users, 'assign')))
  }

  private isReady(stamp: string): boolean {
    const now = this.parts.clock.monotonic()
    if (stamp !== this.seen.stamp) this.seen = { stamp, sinceMs: now }
    const isReplaced = this.stamp === undefined || fileOf(stamp) !== fileOf(this.stamp)
    return isReplaced || now - this.seen.sinceMs >= settledMilliseconds
  }

  private tell(faults: readonly string[]): void {
    for (const fault of faults.slice(0, faultsToldMax)) this.parts.log(`warning: auth/passwd: ${fault}`)
    if (faults.length > faultsToldMax)
      this.parts.log(`warning: auth/passwd: ${faults.length - faultsToldMax} more lines that are none`)
  }
}

/** The part of the stamp that identifies the file, whatever its content. */
function fileOf(stamp: string): string {
  return stamp.split(':', 1)[0] ?? ''
}
