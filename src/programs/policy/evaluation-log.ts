/** Counts results of messages whose domains want reports (RFC 9990): in memory, and once a minute into the store. A killed
 *  process loses that minute, and no mail waits for a disk. A message counts once smtpd tells the action taken, under the
 *  receipt that it got with the findings. */
import type { ActedNotice } from '../../contracts/policy.ts'
import type { EvaluatedRow, PublishedPolicy } from '../../protocols/dmarc/report-writer.ts'
import type { Evaluations } from '../../stores/dmarc-evaluations/evaluation-store.ts'
import type { Clock } from '../../system/clock.ts'
import type { Random } from '../../system/random.ts'
import { countedMax, receiptMillisecondsMax, receiptsMax } from './limits.ts'

/** The results of one message. */
export interface EvaluatedMessage {
  readonly published: PublishedPolicy
  readonly reportsTo: string
  readonly found: Omit<EvaluatedRow, 'disposition' | 'reasons'>
  readonly isPass: boolean
  /** A bounce or a report: no report is sent because of it alone. */
  readonly isOptional: boolean
}

const dayMilliseconds = 86_400_000
const receiptMax = 0xffffffff

export function dayAt(milliseconds: number): number {
  return Math.floor(milliseconds / dayMilliseconds)
}

export class EvaluationLog {
  private readonly clock: Clock
  private readonly waiting = new Map<number, { readonly message: EvaluatedMessage; readonly at: number }>()
  private counted = new Map<string, Evaluations>()
  private met = new Set<string>()
  private lastReceipt: number

  constructor(clock: Clock, random: Random) {
    this.clock = clock
    // A random start: smtpd may still use receipts of the process before this one.
    this.lastReceipt = random.below(receiptMax)
  }

  /** The receipt; 0 if there is no room. */
  begin(message: EvaluatedMessage): number {
    this.forgetOld()
    if (this.waiting.size >= receiptsMax || this.counted.size >= countedMax) return 0
    do this.lastReceipt = this.lastReceipt === receiptMax ? 1 : this.lastReceipt + 1
    while (this.waiting.has(this.lastReceipt))
    this.waiting.set(this.lastReceipt, { message, at: this.clock.monotonic() })
    return this.lastReceipt
  }

  acted({ receipt, action, reason }: ActedNotice): void {
    const message = this.waiting.get(receipt)?.message
    if (message === undefined) return
    this.waiting.delete(receipt)
    const { published, reportsTo, found, isPass, isOptional } = message
    const isTest = published.isTest && !isPass
    const row: EvaluatedRow = {
      ...found,
      disposition: isPass ? 'pass' : action,
      reasons: [...(isTest ? ['policy_test_mode' as const] : []), ...(reason === 'none' ? [] : [reason])],
    }
    const day = dayAt(this.clock.now())
    const key = JSON.stringify([day, published, reportsTo, row])
    const before = this.counted.get(key)
    this.counted.set(key, {
      day,
      published,
      reportsTo,
      row,
      messages: (before?.messages ?? 0) + 1,
      triggers: (before?.triggers ?? 0) + (isOptional ? 0 : 1),
    })
  }

  /** Notes that mail of ours has gone to these domains. */
  sent(domains: readonly string[]): void {
    for (const domain of domains) if (this.met.size < countedMax) this.met.add(domain.toLowerCase())
  }

  /** Returns what has come since the last call. */
  take(): { readonly evaluations: readonly Evaluations[]; readonly met: readonly string[] } {
    this.forgetOld()
    const taken = { evaluations: [...this.counted.values()], met: [...this.met] }
    this.counted = new Map()
    this.met = new Set()
    return taken
  }

  /** Stops at the first young one: they are in the order in which they came. */
  private forgetOld(): void {
    const oldest = this.clock.monotonic() - receiptMillisecondsMax
    for (const [receipt, { at }] of this.waiting) {
      if (at > oldest) return
      this.waiting.delete(receipt)
    }
  }
}
