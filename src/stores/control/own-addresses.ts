/** Which addresses lead to this host: those of its interfaces without control/notipme, and those of control/moreipme
 *  (a public address that a router passes on to us). Everybody who asks "is that us?" asks here.
 *  Fails:  never; what cannot be read was reported by its reader and keeps its last good value. */
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
    // The address of no host in particular reaches this machine too.
    if (address === '0.0.0.0' || address === '::') return true
    if (this.not.has(address)) return false
    return this.interfaces().has(address) || this.more.has(address)
  }
}
