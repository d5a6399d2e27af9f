/** qmail-send's log lines, and how many there were. Tools read them: every byte counts. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Status } from '../../base/outcome.ts'
import { Counter, type Counts } from '../../contracts/counts.ts'
import type { Channel } from '../../stores/queue/contract.ts'
import { type Log, printable } from '../../system/log.ts'

const outcomes = { 2: 'success', 4: 'deferral', 5: 'failure' } as const
const deliveries = ['local', 'remote'] as const
const counted = [
  'messages-accepted',
  'bounces',
  ...deliveries.flatMap((channel) => Object.values(outcomes).map((outcome) => `${channel}-${outcome}` as const)),
] as const

export class DeliveryLog {
  private readonly log: Log
  private deliveries = 0
  private readonly counter = new Counter(counted)

  constructor(log: Log) {
    this.log = log
  }

  newMessage(id: number, bytes: number, sender: ByteString, uid: number): void {
    this.counter.add('messages-accepted')
    this.log(`new msg ${id}`)
    this.log(`info msg ${id}: bytes ${bytes} from <${printable(sender)}> qp ${id} uid ${uid}`)
  }

  /** The number by which this delivery's end is told. */
  starting(id: number, channel: Channel, recipient: ByteString): number {
    this.deliveries++
    this.log(`starting delivery ${this.deliveries}: msg ${id} to ${channel} ${printable(recipient)}`)
    return this.deliveries
  }

  ended(delivery: number, channel: Channel, status: Status): void {
    this.counter.add(`${channel}-${outcomes[status.class]}`)
    this.log(`delivery ${delivery}: ${outcomes[status.class]}: ${printable(status.peerText)}`)
  }

  bounced(id: number, qp: number): void {
    this.counter.add('bounces')
    this.log(`bounce msg ${id} qp ${qp}`)
  }

  tripleBounce(id: number): void {
    this.log(`triple bounce: discarding bounce/${id}`)
  }

  endMessage(id: number): void {
    this.log(`end msg ${id}`)
  }

  status(local: { running: number; most: number }, remote: { running: number; most: number }, stopping: boolean): void {
    const end = stopping ? ' exitasap' : ''
    this.log(`status: local ${local.running}/${local.most} remote ${remote.running}/${remote.most}${end}`)
  }

  exiting(): void {
    this.log('status: exiting')
  }

  get counts(): Counts {
    return this.counter.counts
  }

  warning(text: string): void {
    this.log(`warning: ${text}`)
  }

  alert(text: string): void {
    this.log(`alert: ${text}`)
  }
}
