/** Keeps the queue's clock and the stored times in step: notes the clock, brings back times that cannot be, and has
 *  everything tried after a jump. */
import { longestWaitMs } from '../../protocols/qmail/schedule.ts'
import type { Change, Channel, QueueStore } from '../../stores/queue/contract.ts'
import type { ChannelSettings } from './channel-schedule.ts'
import { noteMilliseconds } from '../../stores/queue/absence.ts'
import type { QueueClock } from './queue-clock.ts'

export interface TimekeeperPorts {
  readonly store: QueueStore
  readonly clock: QueueClock
  readonly settings: Readonly<Record<Channel, ChannelSettings>>
  lookAgain(): void
  onStoreTrouble(error: unknown): void
}

export class Timekeeper {
  private readonly ports: TimekeeperPorts
  private cancel: () => void = () => undefined

  constructor(ports: TimekeeperPorts) {
    this.ports = ports
  }

  /** Before anything is attempted or accepted. */
  async start(): Promise<void> {
    const { clock, settings } = this.ports
    const nowMs = clock.now()
    const latest = (channel: Channel): number => nowMs + longestWaitMs(channel, settings[channel].lifetimeSeconds)
    const dueMs = { local: latest('local'), remote: latest('remote') }
    await this.commit([{ kind: 'clamp', bornMs: nowMs, dueMs }, ...this.afterJump()])
    this.noteLater()
  }

  async stop(): Promise<void> {
    this.cancel()
    await this.commit([])
  }

  private noteLater(): void {
    this.cancel = this.ports.clock.after(noteMilliseconds, () => {
      // Looking at the clock is what shows a jump.
      this.ports.clock.now()
      const hurry = this.afterJump()
      void this.commit(hurry).then(() => {
        if (hurry.length > 0) this.ports.lookAgain()
      })
      this.noteLater()
    })
  }

  /** Time has passed that did not count: nobody is to wait for it a second time. */
  private afterJump(): Change[] {
    const { clock } = this.ports
    return clock.takeJump() ? [{ kind: 'hurry', id: undefined, atMs: clock.now() }] : []
  }

  private async commit(changes: readonly Change[]): Promise<void> {
    const { store, clock } = this.ports
    await store.commit([...changes, { kind: 'clock', ...clock.reading() }]).catch(this.ports.onStoreTrouble)
  }
}
