/** The remote channel: groups go to whichever registered `remote` has the most room. */
import type { Clock } from '../../system/clock.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import { Deliverer } from './deliverer.ts'
import type { Group } from './live-message.ts'

export class RemoteDeliveries {
  private readonly clock: Clock
  private readonly deliverers = new Set<Deliverer>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  add(connection: FrameConnection): Deliverer {
    const deliverer = new Deliverer(connection, this.clock)
    this.deliverers.add(deliverer)
    return deliverer
  }

  remove(deliverer: Deliverer): void {
    this.deliverers.delete(deliverer)
  }

  get canDeliver(): boolean {
    for (const deliverer of this.deliverers) if (deliverer.hasRoom) return true
    return false
  }

  /** False if there is nobody left to take it. */
  deliver(group: Group, content: Buffer | undefined): boolean {
    let best: Deliverer | undefined
    for (const deliverer of this.deliverers) {
      const room = deliverer.capacity - deliverer.load
      if (!deliverer.retired && (best === undefined || room > best.capacity - best.load)) best = deliverer
    }
    best?.send({ group, key: 0, content })
    return best !== undefined
  }

  /** The group in flight somewhere whose content the token names. */
  groupWithToken(messageId: number, token: string): Group | undefined {
    for (const deliverer of this.deliverers) {
      const group = deliverer.groupWithToken(messageId, token)
      if (group !== undefined) return group
    }
    return undefined
  }
}
