/** Peers that a control file lists by address or network. Absent and empty: nobody.
 *  Fails:  a line that is neither is reported once, and lists nobody. */
import ipaddr from 'ipaddr.js'

type Network = readonly [ipaddr.IPv4 | ipaddr.IPv6, number]
const none: readonly string[] = []

export class NetworkList {
  private readonly name: string
  private readonly lines: () => readonly string[] | undefined
  private readonly onProblem: (problem: string) => void
  private known: readonly string[] = none
  private networks: readonly Network[] = []

  /** `lines` gives the same array for as long as the file has not changed. */
  constructor(name: string, lines: () => readonly string[] | undefined, onProblem: (problem: string) => void) {
    this.name = name
    this.lines = lines
    this.onProblem = onProblem
  }

  has(ip: string): boolean {
    const lines = this.lines() ?? none
    if (lines !== this.known) {
      this.known = lines
      this.networks = lines.map((line) => this.parse(line)).filter((network) => network !== undefined)
    }
    if (this.networks.length === 0 || !ipaddr.isValid(ip)) return false
    const address = ipaddr.process(ip)
    return this.networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))
  }

  private parse(line: string): Network | undefined {
    try {
      if (line.includes('/')) return ipaddr.parseCIDR(line)
      const address = ipaddr.parse(line)
      return [address, address.kind() === 'ipv4' ? 32 : 128]
    } catch {
      const what = 'is neither an address nor a network; the line is ignored'
      this.onProblem(`control/${this.name}: ${JSON.stringify(line)} ${what}`)
      return undefined
    }
  }
}
