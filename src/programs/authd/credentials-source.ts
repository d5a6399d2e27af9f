/** What HOME/auth/passwd says now. A file that was replaced (as `quaver account` does) is read at once; one that was
 *  edited in place, when it has not changed for a second.
 *  Fails:  a file that cannot be read, or is away where there are accounts, is told once, and what was read before stays in
 *          force; if nothing was, nobody is told anything about an account: a right password must not look like a guess. */
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
  /** After each reading; `lost`: accounts that somebody may have been let in to by what is not there any more. */
  readonly onChange: (lost: readonly ByteString[]) => void
}

export class CredentialsSource {
  private readonly parts: SourceParts
  private accounts: ReadonlyMap<ByteString, AccountCredentials> = new Map()
  private unreadable: ReadonlySet<ByteString> = new Set()
  private verifiers = false
  /** Of what was read last. */
  private stamp: string | undefined
  /** The last that was seen, and since when. */
  private seen = { stamp: '', sinceMs: 0 }
  private trouble = ''
  private reading: Promise<void> | undefined

  constructor(parts: SourceParts) {
    this.parts = parts
  }

  /** Reads again if there is need. Rejects if it has never been read. */
  async current(): Promise<ReadonlyMap<ByteString, AccountCredentials>> {
    await this.look()
    if (this.stamp === undefined) throw new Error(`auth/passwd: ${this.trouble}`)
    return this.accounts
  }

  /** The same without asking for anything. */
  async look(): Promise<void> {
    this.reading ??= this.refresh().finally(() => (this.reading = undefined))
    await this.reading
  }

  /** By what was read last. */
  has(account: ByteString): boolean {
    return this.accounts.has(account)
  }

  /** By what was read last: there are lines about it, and none can be read. */
  isUnreadable(account: ByteString): boolean {
    return this.unreadable.has(account)
  }

  /** Whether anybody can use SCRAM. */
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
      // What cannot be read was not taken away.
      const names = new Set([...before.keys(), ...accounts.keys()]).difference(unreadable)
      this.parts.onChange([...names].filter((name) => hasLost(before.get(name), accounts.get(name))))
    } catch (error) {
      const trouble = describeError(error)
      const until = this.stamp === undefined ? 'nobody can log in' : 'what it said before stays in force'
      if (trouble !== this.trouble) this.parts.log(`alert: auth/passwd: ${trouble}; ${until}`)
      this.trouble = trouble
    }
  }

  /** Whoever has accounts has had the file; passwords may all be a checkpassword program's affair. */
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

/** Which file it is, whatever it says. */
function fileOf(stamp: string): string {
  return stamp.split(':', 1)[0] ?? ''
}
