/** The queue of a home that does not run. */
import { describeError } from '../../base/outcome.ts'
import type { Home } from '../../stores/home/layout.ts'
import { ClosedQueue } from '../../stores/queue/closed-queue.ts'
import { StoreError } from '../../stores/queue/contract.ts'
import { realClock } from '../../system/clock.ts'
import { CommandError } from './exit.ts'

export async function openQueue(home: Home): Promise<ClosedQueue> {
  try {
    return await ClosedQueue.open(home.queue, realClock)
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'busy')
      throw new CommandError(`Quaver runs on ${home.path}: stop it first, 'quaver stop --home ${home.path}'`)
    throw new CommandError(`${home.queue}: ${describeError(error)}`)
  }
}
