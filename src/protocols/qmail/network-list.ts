/** Peers that a control file lists by address or network. Absent and empty: none.
 *  Fails:  a line that is neither is reported once, and lists no peer. */
import ipaddr from 'ipaddr.js'
import { narrowBits } from './ip-key.ts'

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
    const network = parseNetwork(line)
    const what = 'is neither an address nor a network; the line is ignored'
    if (network === undefined) this.onProblem(`control/${this.name}: ${JSON.stringify(line)} ${what}`)
    return network
  }
}

export function isNetwork(line: string): boolean {
  return parseNetwork(line) !== undefined
}

/** A good part of the world. */
export function isWideNetwork(line: string): boolean {
  const [network, bits] = parseNetwork(line) ?? []
  return network !== undefined && bits !== undefined && bits < narrowBits[network.kind() === 'ipv4' ? 4 : 6]
}

function parseNetwork(line: string): Network | undefined {
  const [text = '', bits, more] = line.split('/')
  // The library would take `10` and `10.1` for addresses, of other hosts.
  if (more !== undefined || !(ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text))) return undefined
  const address = ipaddr.parse(text)
  const whole = address.kind() === 'ipv4' ? 32 : 128
  if (bits === undefined) return [address, whole]
  return /^[0-9]{1,3}$/.test(bits) && Number(bits) <= whole ? [address, Number(bits)] : undefined
}
