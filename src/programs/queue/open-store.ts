/** Brings the queue on disk up: salvage if it is damaged, the store, the ids, and the removal of orphaned contents. */
import { join } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import { ContentFiles } from '../../stores/queue/content-files.ts'
import { StoreError } from '../../stores/queue/contract.ts'
import { MessageIds } from '../../stores/queue/ids.ts'
import { noteDamage, salvageIfDamaged } from '../../stores/queue/salvage.ts'
import { SyncedQueueStore } from '../../stores/queue/store.ts'
import { demandWritable } from '../../stores/queue/writable.ts'
import type { Clock } from '../../system/clock.ts'
import type { Files } from '../../system/files.ts'
import type { DeliveryLog } from './delivery-log.ts'
import { noteMilliseconds } from '../../stores/queue/absence.ts'
import { QueueClock } from './queue-clock.ts'

export interface OpenedStore {
  readonly store: SyncedQueueStore
  readonly files: ContentFiles
  readonly ids: MessageIds
  /** Births and due times are told by it. */
  readonly clock: QueueClock
}

export function damageMarker(directory: string): string {
  return join(directory, 'damaged')
}

/** Throws with qmail-send's words for why it cannot start. */
export async function openStore(
  directory: string,
  machine: Clock,
  system: Files,
  log: DeliveryLog,
): Promise<OpenedStore> {
  try {
    demandWritable(join(directory, 'queue.db'))
    const salvaged = salvageAndTell(directory, machine, log)
    const opened = openSound(directory, machine, log)
    const files = new ContentFiles(join(directory, 'content'), system)
    // After a salvage a file without a row may be all that is left of a message: it is kept.
    if (!salvaged && !opened.salvaged) await removeOrphans(opened.store, files, log)
    const stored = await opened.store.clock()
    const clock = new QueueClock(machine, stored)
    const ids = new MessageIds(clock, opened.largestId, stored && stored.seenMs + noteMilliseconds)
    return { store: opened.store, files, ids, clock }
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'busy')
      throw new Error('qmail-send is already running', { cause: error })
    throw new Error(`unable to open the queue in ${directory}: ${describeError(error)}`, { cause: error })
  }
}

/** Damage that shows only when the database is opened for use is salvaged too, once. */
function openSound(
  directory: string,
  clock: Clock,
  log: DeliveryLog,
): { store: SyncedQueueStore; largestId: number; salvaged: boolean } {
  const path = join(directory, 'queue.db')
  try {
    return { ...SyncedQueueStore.open(path), salvaged: false }
  } catch (error) {
    if (!(error instanceof StoreError) || error.kind !== 'damaged') throw error
    noteDamage(damageMarker(directory), error.message)
    salvageAndTell(directory, clock, log)
    return { ...SyncedQueueStore.open(path), salvaged: true }
  }
}

function salvageAndTell(directory: string, clock: Clock, log: DeliveryLog): boolean {
  const salvage = salvageIfDamaged(join(directory, 'queue.db'), damageMarker(directory), clock.now())
  if (salvage === undefined) return false
  const { saved, lost, asideAs } = salvage
  log.alert(`queue.db was damaged: ${saved} messages saved, ${lost} not; kept as ${asideAs}`)
  return true
}

/** Contents whose row was never committed (states Q2, Q3), or whose message is gone. */
async function removeOrphans(store: SyncedQueueStore, files: ContentFiles, log: DeliveryLog): Promise<void> {
  const { ids, foreign } = await files.inventory()
  for (const name of foreign) log.warning(`queue/content/${name} is not ours; left alone`)
  const known = new Set(await store.existing(ids))
  for (const id of ids) if (!known.has(id)) await files.remove(id)
}
