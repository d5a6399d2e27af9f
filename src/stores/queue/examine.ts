/** Looks for faults of a queue in a copy of it (snapshot.ts), while the queue's process goes on.
 *  Never:  changes anything, not even the copy.
 *  Fails:  throws as Node does where the copy cannot be opened at all. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { storeError } from './engine.ts'

export interface QueueFault {
  /** `damaged`: the database itself. `stuck`: a message has work left, but no due time. `bodiless`: a message's body is absent
   *  or incomplete; it can only be deleted. */
  readonly kind: 'damaged' | 'stuck' | 'bodiless'
  /** Undefined for the database. */
  readonly id: number | undefined
  readonly text: string
}

/** Of each kind. */
const faultsMax = 100

export function examineCopy(directory: string): QueueFault[] {
  const database = new DatabaseSync(join(directory, 'queue.db'), { readOnly: true })
  try {
    const answers = database
      .prepare('PRAGMA integrity_check(10)')
      .all()
      .map((row) => String(row['integrity_check']))
    if (answers[0] !== 'ok') return [damaged(answers.join('; '))]
    return [...stuck(database), ...bodiless(database, join(directory, 'content'))]
  } catch (error) {
    const { kind, message } = storeError(error)
    if (kind === 'damaged') return [damaged(message)]
    throw error
  } finally {
    database.close()
  }
}

function damaged(text: string): QueueFault {
  return { kind: 'damaged', id: undefined, text }
}

/** State Q5, which should never be visible, and the like: a channel must be due while a recipient on it waits, and one channel
 *  until the message ends. */
function stuck(database: DatabaseSync): QueueFault[] {
  const waiting = 'SELECT 1 FROM recipient AS r WHERE r.message = m.id AND r.state = 0'
  const rows = database
    .prepare(
      `SELECT m.id AS id FROM message AS m
       WHERE (m.due_local IS NULL AND m.due_remote IS NULL)
          OR (m.due_local IS NULL AND EXISTS (${waiting} AND r.channel = 0))
          OR (m.due_remote IS NULL AND EXISTS (${waiting} AND r.channel = 1))
       LIMIT ${faultsMax}`,
    )
    .all()
  return rows.map(({ id }) => ({ kind: 'stuck', id: Number(id), text: 'is due at no time, and has not ended' }))
}

function bodiless(database: DatabaseSync, content: string): QueueFault[] {
  const found: QueueFault[] = []
  const rows = database.prepare(
    `SELECT m.id AS id, m.in_file AS in_file, m.bytes - length(m.head) AS wanted, length(c.bytes) AS there
     FROM message AS m LEFT JOIN content AS c ON c.id = m.id
     WHERE m.in_file = 1 OR c.bytes IS NULL OR length(c.bytes) <> m.bytes - length(m.head)`,
  )
  for (const row of rows.iterate()) {
    const id = Number(row['id'])
    const wanted = Number(row['wanted'])
    const there = row['in_file'] === 1 ? sizeOf(join(content, String(id))) : row['there']
    if (Number(there) === wanted && there !== null) continue
    const text = there === null ? 'has no body' : `has ${Number(there)} bytes of its body of ${wanted}`
    found.push({ kind: 'bodiless', id, text })
    if (found.length === faultsMax) break
  }
  return found
}

/** Null: there is no such file. */
function sizeOf(path: string): number | null {
  const facts = statSync(path, { throwIfNoEntry: false })
  return facts?.size ?? null
}
