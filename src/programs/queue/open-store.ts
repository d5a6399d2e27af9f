/** Opens the queue on disk, says in the log what was found, and sets the queue's clock by what was noted last. */
import { describeError } from '../../base/outcome.ts'
import { StoreError } from '../../stores/queue/contract.ts'
import { openQueue } from '../../stores/queue/open.ts'
import type { SyncedQueueStore } from '../../stores/queue/store.ts'
import type { Clock } from '../../system/clock.ts'
import type { Files } from '../../system/files.ts'
import type { DeliveryLog } from './delivery-log.ts'
import { QueueClock } from './queue-clock.ts'

export interface OpenedStore {
  readonly store: SyncedQueueStore
  /** Births and due times are told by it. */
  readonly clock: QueueClock
}

/** Throws with qmail-send's words for why it cannot start. */
export async function openStore(
  directory: string,
  machine: Clock,
  files: Files,
  log: DeliveryLog,
): Promise<OpenedStore> {
  try {
    const store = await openQueue(directory, files, machine.now(), {
      salvaged: ({ saved, lost, asideAs }) =>
        log.alert(`queue.db was damaged: ${saved} messages saved, ${lost} not; kept as ${asideAs}`),
      foreign: (name) => log.warning(`queue/content/${name} is not ours; left alone`),
    })
    return { store, clock: new QueueClock(machine, await store.clock()) }
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'busy')
      throw new Error('qmail-send is already running', { cause: error })
    throw new Error(`unable to open the queue in ${directory}: ${describeError(error)}`, { cause: error })
  }
}
