/** Checks a database that may be damaged; if it is, sets it aside and copies it row by row into a fresh one. Runs in the queue
 *  process before it serves, and blocks it meanwhile.
 *  Never:  deletes the damaged file. Fails: throws StoreError if not even a fresh database can be made. */
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { QueuedMessage } from './contract.ts'
import { QueueEngine, storeError } from './engine.ts'

export interface Salvage {
  readonly asideAs: string
  readonly saved: number
  readonly lost: number
}

/** Notes that the database can no longer be trusted; the next start looks into it. */
export function noteDamage(marker: string, reason: string): void {
  try {
    writeFileSync(marker, `${reason}\n`, { mode: 0o600 })
  } catch {
    // If even this cannot be written, the next start finds the cause before it looks for damage.
  }
}

/** Undefined if the database is sound (or not there). */
export function salvageIfDamaged(path: string, marker: string, nowMs: number): Salvage | undefined {
  if (isSound(path, existsSync(marker))) {
    rmSync(marker, { force: true })
    return undefined
  }
  const asideAs = `${path}.damaged-${nowMs}`
  renameSync(path, asideAs)
  for (const suffix of ['-wal', '-shm']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, asideAs + suffix)
  }
  const counts = copyReadable(asideAs, path)
  rmSync(marker, { force: true })
  return { asideAs, ...counts }
}

/** Without a marker only the beginning is checked: reading all of a large queue would delay every start. */
function isSound(path: string, marked: boolean): boolean {
  if (!existsSync(path)) return true
  try {
    const database = new DatabaseSync(path, { timeout: 1000 })
    try {
      database.exec('PRAGMA locking_mode = EXCLUSIVE')
      // Checks indexes, too: a message missing in one is never due.
      const check = marked ? 'PRAGMA integrity_check(1)' : 'PRAGMA schema_version'
      const answer = database.prepare(check).get()
      return !marked || answer?.['integrity_check'] === 'ok'
    } finally {
      database.close()
    }
  } catch (error) {
    return storeError(error).kind !== 'damaged'
  }
}

function copyReadable(from: string, to: string): { saved: number; lost: number } {
  const fresh = new QueueEngine(to)
  let saved = 0
  let lost = 0
  let damaged: QueueEngine | undefined
  try {
    damaged = new QueueEngine(from)
    copyClock(damaged, fresh)
    for (const id of damaged.readableIds()) {
      if (copyMessage(damaged, fresh, id)) saved++
      else lost++
    }
  } catch (error) {
    // Not even its first page can be read: nothing can be saved.
    if (storeError(error).kind !== 'damaged') throw error
  } finally {
    fresh.close()
    closeQuietly(damaged)
  }
  return { saved, lost }
}

/** Without it, the times of all messages would be read on another clock. */
function copyClock(damaged: QueueEngine, fresh: QueueEngine): void {
  try {
    const clock = damaged.clock()
    if (clock !== undefined) fresh.commit([[{ kind: 'clock', ...clock }]])
  } catch {
    // It cannot be read: the machine's clock is the best guess.
  }
}

function copyMessage(damaged: QueueEngine, fresh: QueueEngine, id: number): boolean {
  try {
    const message: QueuedMessage | undefined = damaged.load([id])[0]
    if (message === undefined || message.recipients.length === 0) return false
    const content = damaged.content(id)
    if (content === undefined || (content.body === undefined) !== message.inFile) return false
    if (content.body !== undefined && content.head.length + content.body.length !== message.bytes) return false
    return fresh.commit([[{ kind: 'add', message, content }]])[0] === undefined
  } catch {
    // The message cannot be read; it is counted as lost, and the damaged file is kept.
    return false
  }
}

function closeQuietly(engine: QueueEngine | undefined): void {
  try {
    engine?.close()
  } catch {
    // A damaged database may not close cleanly; it is set aside already.
  }
}
