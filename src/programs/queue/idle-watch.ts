/** Ends a connection from which nothing comes for `handInIdleMilliseconds`, unless it waits for us. */
import type { Clock } from '../../system/clock.ts'
import { handInIdleMilliseconds } from './limits.ts'

export class IdleWatch {
  private readonly clock: Clock
  private readonly isBusy: () => boolean
  private readonly onIdle: () => void
  private cancel: () => void = () => undefined

  constructor(clock: Clock, isBusy: () => boolean, onIdle: () => void) {
    this.clock = clock
    this.isBusy = isBusy
    this.onIdle = onIdle
    this.heard()
  }

  heard(): void {
    this.cancel()
    this.cancel = this.clock.after(handInIdleMilliseconds, () => {
      if (this.isBusy()) this.heard()
      else this.onIdle()
    })
  }

  end(): void {
    this.cancel()
  }
}
