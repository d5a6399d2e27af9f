/** Keeps the policy in step with the control files: a session asks once, at its start, and keeps what it got.
 *  Knows:  morercpthosts.cdb on disk, and that its source says the same. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { CdbReader } from '../../protocols/qmail/cdb.ts'
import type { Control } from '../../stores/control/control.ts'
import { OwnAddresses } from '../../stores/control/own-addresses.ts'
import type { Clock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { interfaceAddressReader } from '../../system/interfaces.ts'
import { lowerSet, type MoreHosts, type Policy, readPolicy } from './policy.ts'

const cdbBytesMax: number = 256 * 1024 * 1024
const refreshMilliseconds = 1000

export class PolicySource {
  private readonly control: Control
  private readonly moreHosts: MoreHostsFile
  private readonly clock: Clock
  private readonly onProblem: (problem: string) => void
  private policy: Policy
  private refreshedAt: number
  private readonly ownAddresses: OwnAddresses

  constructor(control: Control, clock: Clock, onProblem: (problem: string) => void) {
    this.control = control
    this.clock = clock
    this.onProblem = onProblem
    this.moreHosts = new MoreHostsFile(control, onProblem)
    this.ownAddresses = new OwnAddresses(
      control,
      interfaceAddressReader(() => clock.monotonic()),
      onProblem,
    )
    this.refreshedAt = clock.monotonic()
    this.policy = this.read()
  }

  /** Looks at the files at most once a second. */
  current(): Policy {
    const now = this.clock.monotonic()
    if (now - this.refreshedAt >= refreshMilliseconds) {
      this.refreshedAt = now
      this.control.refresh()
      this.moreHosts.refresh()
      this.policy = this.read()
    }
    return this.policy
  }

  private read(): Policy {
    return readPolicy(this.control, this.moreHosts, (ip) => this.ownAddresses.has(ip), this.onProblem)
  }
}

/** A cdb is replaced by rename, so a changed stamp means a whole new file. While there is none that can be read,
 *  control/morercpthosts is asked, of which it is made. */
class MoreHostsFile implements MoreHosts {
  private readonly path: string
  private readonly control: Control
  private readonly onProblem: (problem: string) => void
  private stamp = ''
  private reader: CdbReader | undefined
  private isUnreadable = false
  private lastComplaint = ''

  constructor(control: Control, onProblem: (problem: string) => void) {
    this.path = join(control.directory, 'morercpthosts.cdb')
    this.control = control
    this.onProblem = onProblem
    this.refresh()
  }

  has(key: ByteString): boolean | undefined {
    try {
      if (this.reader !== undefined) return this.reader.get(key) !== undefined
    } catch (error) {
      this.unreadable(error)
      this.reader = undefined
    }
    const lines = this.control.list('morercpthosts')
    if (lines !== undefined) return lowerSet(lines).has(key)
    return this.isUnreadable ? undefined : false
  }

  refresh(): void {
    try {
      const facts = statSync(this.path)
      const stamp = `${facts.ino}:${facts.size}:${facts.mtimeMs}`
      if (stamp === this.stamp) return
      if (facts.size > cdbBytesMax) throw new Error(`${facts.size} bytes, limit ${cdbBytesMax}`)
      const bytes = readFileSync(this.path)
      this.stamp = stamp
      this.reader = new CdbReader(bytes)
      this.isUnreadable = false
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') return this.unreadable(error)
      this.stamp = ''
      this.reader = undefined
      this.isUnreadable = false
    }
  }

  private unreadable(error: unknown): void {
    this.isUnreadable = true
    const problem = `control/morercpthosts.cdb: ${describeError(error)}; the one before stays in force, or its source`
    if (problem !== this.lastComplaint) this.onProblem(problem)
    this.lastComplaint = problem
  }
}
