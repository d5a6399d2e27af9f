/** Keeps the policy in step with the control files: a session asks once, at its start, and keeps what it got.
 *  Knows:  morercpthosts.cdb on disk. */
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
import { type MoreHosts, type Policy, readPolicy } from './policy.ts'

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
    this.moreHosts = new MoreHostsFile(join(control.directory, 'morercpthosts.cdb'), onProblem)
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

/** A cdb is replaced by rename, so a changed stamp means a whole new file. */
class MoreHostsFile implements MoreHosts {
  private readonly path: string
  private readonly onProblem: (problem: string) => void
  private stamp = ''
  private reader: CdbReader | undefined
  private lastComplaint = ''

  constructor(path: string, onProblem: (problem: string) => void) {
    this.path = path
    this.onProblem = onProblem
    this.refresh()
  }

  has(key: ByteString): boolean {
    try {
      return this.reader?.get(key) !== undefined
    } catch (error) {
      this.complain(`control/morercpthosts.cdb: ${describeError(error)}; it is not used`)
      this.reader = undefined
      return false
    }
  }

  refresh(): void {
    try {
      const facts = statSync(this.path)
      const stamp = `${facts.ino}:${facts.size}:${facts.mtimeMs}`
      if (stamp === this.stamp) return
      this.stamp = stamp
      if (facts.size > cdbBytesMax) throw new Error(`${facts.size} bytes, limit ${cdbBytesMax}`)
      this.reader = new CdbReader(readFileSync(this.path))
    } catch (error) {
      if (errorCode(error) === 'ENOENT') {
        this.stamp = ''
        this.reader = undefined
      } else this.complain(`control/morercpthosts.cdb: ${describeError(error)}; the one before stays in force`)
    }
  }

  private complain(problem: string): void {
    if (problem !== this.lastComplaint) this.onProblem(problem)
    this.lastComplaint = problem
  }
}
