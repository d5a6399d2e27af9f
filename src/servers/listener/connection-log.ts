/** tcpserver's lines about connections. Ours have no process each: they are numbered from 1. */
import type { Log } from '../../system/log.ts'
import type { Environment, Peer } from './peer.ts'

const fieldBytesMax = 100
/** Raw wait statuses: exit 0, 100 and 111. */
export const waitStatus = { done: 0, denied: 100 << 8, trouble: 111 << 8 } as const

export class ConnectionLog {
  private readonly log: Log
  private readonly connectionsMax: number

  constructor(log: Log, connectionsMax: number) {
    this.log = log
    this.connectionsMax = connectionsMax
  }

  begins(number: number, ip: string, open: number): void {
    this.status(open)
    this.log(`pid ${number} from ${field(ip)}`)
  }

  decided(verdict: 'ok' | 'deny', number: number, peer: Peer, environment: Environment): void {
    const localHost = hostField(environment.get('TCPLOCALHOST') ?? '')
    const local = `${localHost}:${field(peer.localIp)}:${peer.localPort}`
    const host = hostField(environment.get('TCPREMOTEHOST') ?? '')
    const remote = `${host}:${field(peer.remoteIp)}:${hostField(environment.get('TCPREMOTEINFO') ?? '')}`
    this.log(`${verdict} ${number} ${local} ${remote}:${peer.remotePort}`)
  }

  ended(number: number, status: number, open: number): void {
    this.log(`end ${number} status ${status}`)
    this.status(open)
  }

  status(open: number): void {
    this.log(`status: ${open}/${this.connectionsMax}`)
  }
}

/** `%` and whatever is not printable become `?`. */
function field(text: string): string {
  return text.slice(0, fieldBytesMax).replace(/[^!-$&-~]/g, '?')
}

/** Where a colon would be taken for the end of the field. */
function hostField(text: string): string {
  return field(text).replaceAll(':', '?')
}
