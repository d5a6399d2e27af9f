/** Counts results of TLS, and writes them once a minute: a killed process loses a minute's counts, and no delivery waits for a
 *  disk.
 *  Fails:  a failed write is reported once, and tried again a minute later. */
import { describeError } from '../../base/outcome.ts'
import { DayCounts, type SessionFact } from '../../protocols/tlsrpt/day.ts'
import type { DayFiles } from '../../stores/tls-reports/day-files.ts'
import type { Clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'

const writeMilliseconds = 60_000
const daysKept = 10

export class TlsCounter {
  private readonly files: DayFiles
  private readonly clock: Clock
  private readonly log: Log
  private counts = new DayCounts()
  private day = ''
  private isChanged = false
  private isDue = false
  private trouble = ''

  constructor(files: DayFiles, clock: Clock, log: Log) {
    this.files = files
    this.clock = clock
    this.log = log
  }

  /** Continues from the counts of today in the file. */
  async open(): Promise<void> {
    this.day = this.today()
    await this.tell(async () => {
      this.counts = await this.files.read(this.day)
      await this.forgetOld()
    })
  }

  count(fact: SessionFact): void {
    const today = this.today()
    if (today !== this.day) this.beginDay(today)
    this.counts.count(fact)
    this.isChanged = true
    if (this.isDue) return
    this.isDue = true
    this.clock.after(writeMilliseconds, () => {
      this.isDue = false
      void this.write()
    })
  }

  /** Writes the counts if they have changed. */
  async write(): Promise<void> {
    if (!this.isChanged) return
    this.isChanged = false
    await this.tell(() => this.files.write(this.day, this.counts))
  }

  private beginDay(today: string): void {
    const [day, counts] = [this.day, this.counts]
    const isWritten = !this.isChanged
    this.day = today
    this.counts = new DayCounts()
    void this.tell(async () => {
      if (!isWritten) await this.files.write(day, counts)
      await this.forgetOld()
    })
  }

  private async forgetOld(): Promise<void> {
    for (const day of (await this.files.days()).slice(0, -daysKept)) await this.files.remove(day)
  }

  private async tell(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.trouble = ''
    } catch (error) {
      const trouble = describeError(error)
      this.isChanged = true
      if (trouble !== this.trouble) this.log(`warning: counts of TLS sessions cannot be kept: ${trouble}`)
      this.trouble = trouble
    }
  }

  private today(): string {
    return new Date(this.clock.now()).toISOString().slice(0, 10)
  }
}
