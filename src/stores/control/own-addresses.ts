/** Which addresses lead to this host: those of its interfaces except those in control/notipme, and those of control/moreipme (a
 *  public address that a router passes on to us). The only place that answers "is that us?".
 *  Fails:  never; a file that cannot be read was reported by `Control` and keeps its last good value. */
import { parseIp } from '../../protocols/qmail/ip-key.ts'
import { NetworkList } from '../../protocols/qmail/network-list.ts'
import type { Control } from './control.ts'

export class OwnAddresses {
  private readonly interfaces: () => ReadonlySet<string>
  private readonly more: NetworkList
  private readonly not: NetworkList

  constructor(control: Control, interfaces: () => ReadonlySet<string>, onProblem: (problem: string) => void) {
    this.interfaces = interfaces
    this.more = new NetworkList('moreipme', () => control.list('moreipme'), onProblem)
    this.not = new NetworkList('notipme', () => control.list('notipme'), onProblem)
  }

  has(ip: string): boolean {
    const address = parseIp(ip)?.toString()
    if (address === undefined) return false
    // The unspecified address reaches this machine too.
    if (address === '0.0.0.0' || address === '::') return true
    if (this.not.has(address)) return false
    return this.interfaces().has(address) || this.more.has(address)
  }
}
