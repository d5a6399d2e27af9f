/** Is there room in a Maildir for one more message? Each delivery reserves its room until it is done, so that several at once
 *  do not all take the last place.
 *  Knows:  when the sum in `maildirsize` is believed and when the Maildir is counted anew.
 *  Never:  holds up mail because a quota cannot be read: a Maildir without a readable limit has none.
 *  Fails:  if the sum is over the limit and a new count fails, the result is `unsure`: the message waits. */
import type { ByteString } from '../../base/byte-string.ts'
import { believedMilliseconds, isOver, type Maildirsize, type Usage } from '../../protocols/maildir/quota.ts'
import type { Clock } from '../../system/clock.ts'
import type { QuickFiles } from '../../system/quick-files.ts'
import type { Random } from '../../system/random.ts'
import { type FoundQuota, readQuota, recordChange, writeQuota } from './quota-file.ts'

export interface QuotaMachine {
  readonly files: QuickFiles
  readonly clock: Clock
  readonly random: Random
}

/** `none`: no limit. `full`: certainly over it. `unsure`: other deliveries are under way, or the count failed. */
export type Room = Reservation | 'none' | 'full' | 'unsure'

export interface Reservation {
  /** The message is in the Maildir. */
  arrived(): void
  /** The delivery is over, well or not. */
  release(): void
}

const nothing: Usage = { bytes: 0, messages: 0 }

export class Quotas {
  private readonly machine: QuotaMachine
  /** By Maildir: what is being delivered now. */
  private readonly underway = new Map<ByteString, Usage>()
  private readonly counting = new Map<ByteString, Promise<Usage>>()

  constructor(machine: QuotaMachine) {
    this.machine = machine
  }

  /** Room for a message of so many bytes; `maildir` ends in a slash. At once unless the Maildir has to be counted. */
  reserve(maildir: ByteString, bytes: number): Room | Promise<Room> {
    const found = readQuota(this.machine.files, maildir)
    if (found === undefined) return 'none'
    const message: Usage = { bytes, messages: 1 }
    if (!found.isCounted || found.isDue) return this.afterCount(found, message)
    if (!isOver(found.limit, found.used, message)) return this.take(found, found.used, message)
    return this.isBelieved(found) ? 'full' : this.afterCount(found, message)
  }

  private isBelieved({ isFresh, changedMs }: FoundQuota): boolean {
    return isFresh && Math.abs(this.machine.clock.now() - changedMs) < believedMilliseconds
  }

  private async afterCount(found: FoundQuota, message: Usage): Promise<Room> {
    try {
      const used = await this.count(found)
      return isOver(found.limit, used, message) ? 'full' : this.take(found, used, message)
    } catch {
      // The count failed: an old sum that leaves room is believed.
      return isOver(found.limit, found.used, message) ? 'unsure' : this.take(found, found.used, message)
    }
  }

  private take({ root, limit }: Maildirsize & { readonly root: ByteString }, used: Usage, message: Usage): Room {
    const others = this.underway.get(root) ?? nothing
    // The other deliveries may fail, so it is not yet known to be full.
    if (isOver(limit, sum(used, others), message)) return 'unsure'
    this.underway.set(root, sum(others, message))
    let isHeld = true
    const release = (): void => {
      if (!isHeld) return
      isHeld = false
      const { bytes, messages } = this.underway.get(root) ?? message
      if (messages <= 1) this.underway.delete(root)
      else this.underway.set(root, { bytes: bytes - message.bytes, messages: messages - 1 })
    }
    const arrived = (): void => {
      // From here on the file counts it.
      release()
      recordChange(this.machine.files, root, message)
    }
    return { arrived, release }
  }

  private count({ root, limit }: FoundQuota): Promise<Usage> {
    const running = this.counting.get(root)
    if (running !== undefined) return running
    const count = writeQuota(this.machine.files, this.machine.random, root, limit).finally(() =>
      this.counting.delete(root),
    )
    this.counting.set(root, count)
    return count
  }
}

function sum(a: Usage, b: Usage): Usage {
  return { bytes: a.bytes + b.bytes, messages: a.messages + b.messages }
}
