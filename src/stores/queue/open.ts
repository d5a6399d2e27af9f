/** Opens the queue on disk, whatever an earlier process left: salvage if it is damaged, and the removal of bodies that belong
 *  to no message.
 *  Fails:  throws StoreError, `busy` if another process has it, or the file system's error with owner and remedy. */
import { join } from 'node:path'
import type { Files } from '../../system/files.ts'
import { StoreError } from './contract.ts'
import { noteDamage, type Salvage, salvageIfDamaged } from './salvage.ts'
import { removeSnapshot } from './snapshot.ts'
import { SyncedQueueStore } from './store.ts'
import { demandWritable } from './writable.ts'

/** Events to report to the administrator. */
export interface OpeningNews {
  salvaged(salvage: Salvage): void
  /** A name in `content/` that is not ours; it is left alone. */
  foreign(name: string): void
}

export function damageMarker(directory: string): string {
  return join(directory, 'damaged')
}

export async function openQueue(
  directory: string,
  files: Files,
  nowMs: number,
  news: OpeningNews,
): Promise<SyncedQueueStore> {
  const path = join(directory, 'queue.db')
  let isSalvaged = false
  const salvage = (): void => {
    const salvaged = salvageIfDamaged(path, damageMarker(directory), nowMs)
    if (salvaged === undefined) return
    isSalvaged = true
    news.salvaged(salvaged)
  }
  demandWritable(path)
  // Left by an interrupted backup.
  await removeSnapshot(directory)
  salvage()
  const store = openSound(directory, files, salvage)
  // After a salvage a file without a row may be all that is left of a message: it is kept.
  if (!isSalvaged) for (const name of await store.removeOrphans()) news.foreign(name)
  return store
}

/** Damage that appears only when the database is opened for use is salvaged too, once. */
function openSound(directory: string, files: Files, salvage: () => void): SyncedQueueStore {
  try {
    return SyncedQueueStore.open(directory, files)
  } catch (error) {
    if (!(error instanceof StoreError) || error.kind !== 'damaged') throw error
    noteDamage(damageMarker(directory), error.message)
    salvage()
    return SyncedQueueStore.open(directory, files)
  }
}
