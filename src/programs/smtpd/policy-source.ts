/** Keeps the policy up to date with the control files: a session takes the present one at its start and keeps it.
 *  Knows:  when the files are checked. Never: what they mean. */
import type { Control } from '../../stores/control/control.ts'
import { OwnAddresses } from '../../stores/control/own-addresses.ts'
import { MoreHostsFile } from '../../stores/control/rcpthosts.ts'
import type { Clock } from '../../system/clock.ts'
import { interfaceAddressReader } from '../../system/interfaces.ts'
import { type Policy, readPolicy } from './policy.ts'

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

  /** Checks the files at most once a second. */
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
