/** The SQLite engine of the queue store: synchronous, one thread, one process.
 *  Knows:  SQL. Never: schedules, sockets, what a report means.
 *  Fails:  throws StoreError, classified from SQLite's result code. */
import { backup, DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { describeError, type Status } from '../../base/outcome.ts'
import { decodeParams, encodeParams } from '../../contracts/envelope.ts'
import { decodeAnswer, decodeCode, encodeAnswer, encodeCode } from '../../contracts/status.ts'
import {
  type Change,
  type Channel,
  type DueKey,
  type QueueCounts,
  type QueuedMessage,
  type QueuedRecipient,
  type RecipientState,
  type StoredClock,
  type StoredContent,
  StoreError,
} from './contract.ts'
import { prepareDatabase } from './schema.ts'

const states: readonly RecipientState[] = ['waiting', 'done', 'failed']
const channelNumber = { local: 0, remote: 1 } as const

const nothing = new Uint8Array()

type Row = Record<string, unknown>

const messageColumns = 'id, born, sender, uid, bytes, params, held, in_file, due_local, due_remote'

export class QueueEngine {
  private readonly database: DatabaseSync
  private readonly statements = new Map<string, StatementSync>()
  /** Ids of messages with a body in a file: removed in this transaction, and by committed ones before it. */
  private removing: number[] = []
  private removed: number[] = []

  constructor(path: string) {
    try {
      this.database = new DatabaseSync(path, { timeout: 1000 })
      prepareDatabase(this.database)
    } catch (error) {
      throw storeError(error)
    }
  }

  /** Applies units in one transaction. The result says for each unit what went wrong, or undefined. */
  commit(units: readonly (readonly Change[])[]): (StoreError | undefined)[] {
    const error = this.transaction(units.flat())
    if (error === undefined) return units.map(() => undefined)
    // A full disk or a damaged file concerns all units; another error is one unit's, and must not fail the others.
    if (units.length === 1 || error.kind !== 'other') return units.map(() => error)
    return units.map((unit) => this.transaction(unit))
  }

  /** Ids of removed messages whose files remain; each is returned once. */
  takeRemoved(): number[] {
    return this.removed.splice(0)
  }

  due(channel: Channel, atMs: number, limit: number, after?: DueKey): DueKey[] {
    const due = `due_${channel}`
    const behind = after === undefined ? '' : `AND (${due}, id) > (?, ?)`
    const sql = `SELECT ${due} AS at, id FROM message WHERE ${due} <= ? AND held = 0 ${behind} ORDER BY ${due}, id LIMIT ?`
    const key = after === undefined ? [] : [after.dueMs, after.id]
    return this.rows(sql, atMs, ...key, limit).map((row) => ({ dueMs: Number(row['at']), id: Number(row['id']) }))
  }

  nextDue(channel: Channel, afterMs: number): number | undefined {
    const sql = `SELECT due_${channel} AS at FROM message WHERE due_${channel} > ? ORDER BY due_${channel} LIMIT 1`
    const at = this.rows(sql, afterMs)[0]?.['at']
    return at === undefined ? undefined : Number(at)
  }

  load(ids: readonly number[]): QueuedMessage[] {
    const found: QueuedMessage[] = []
    for (const id of ids) {
      const row = this.rows(`SELECT ${messageColumns} FROM message WHERE id = ?`, id)[0]
      if (row !== undefined) found.push(this.message(row))
    }
    return found
  }

  list(afterId: number, limit: number): QueuedMessage[] {
    const sql = `SELECT ${messageColumns} FROM message WHERE id > ? ORDER BY id LIMIT ?`
    return this.rows(sql, afterId, limit).map((row) => this.message(row))
  }

  content(id: number): StoredContent | undefined {
    const sql = 'SELECT head, bytes FROM (SELECT id, head FROM message WHERE id = ?) LEFT JOIN content USING (id)'
    const row = this.rows(sql, id)[0]
    if (row === undefined) return undefined
    const body = row['bytes']
    return { head: bytes(row['head']), body: body instanceof Uint8Array ? body : undefined }
  }

  largestId(): number {
    return Number(this.rows('SELECT max(id) AS id FROM message')[0]?.['id'] ?? 0)
  }

  has(id: number): boolean {
    return this.rows('SELECT 1 FROM message WHERE id = ?', id).length > 0
  }

  counts(): QueueCounts {
    const count = (sql: string): number => Number(this.rows(sql)[0]?.['n'] ?? 0)
    const waiting = (channel: Channel): number =>
      count(`SELECT count(*) AS n FROM recipient WHERE state = 0 AND channel = ${channelNumber[channel]}`)
    return {
      messages: count('SELECT count(*) AS n FROM message'),
      waitingLocal: waiting('local'),
      waitingRemote: waiting('remote'),
    }
  }

  clock(): StoredClock | undefined {
    const row = this.rows('SELECT seen, ahead FROM clock')[0]
    return row && { seenMs: Number(row['seen']), aheadMs: Number(row['ahead']) }
  }

  /** For salvage: ids from both ends of each table, as far as pages can be read. A bad page hides what lies behind it
   *  in one walk; the walk from the other end, or of another table, may still find it. */
  readableIds(): Set<number> {
    const ids = new Set<number>()
    for (const source of ['id AS id FROM message', 'id AS id FROM content', 'message AS id FROM recipient']) {
      for (const order of ['ASC', 'DESC']) {
        try {
          for (const row of this.statement(`SELECT ${source} ORDER BY 1 ${order}`).iterate()) ids.add(Number(row['id']))
        } catch {
          // The rest of this walk lies behind a bad page.
        }
      }
    }
    return ids
  }

  /** Gives pages of removed messages back to the file system, a bounded number at a time. */
  shrink(pages: number): void {
    try {
      this.database.exec(`PRAGMA incremental_vacuum(${pages})`)
    } catch (error) {
      throw storeError(error)
    }
  }

  /** Copies into another database, a few pages at a time, with what is committed meanwhile. Resolves to the number of pages.
   *  This one must stay open until then. */
  async copyTo(path: string, onPages: (left: number, of: number) => void): Promise<number> {
    return await backup(this.database, path, {
      progress: ({ remainingPages, totalPages }) => onPages(remainingPages, totalPages),
    })
  }

  close(): void {
    this.database.close()
  }

  private transaction(changes: readonly Change[]): StoreError | undefined {
    this.removing = []
    try {
      this.run('BEGIN IMMEDIATE')
      for (const change of changes) this.apply(change)
      this.run('COMMIT')
      this.removed.push(...this.removing)
      return undefined
    } catch (error) {
      try {
        // After some errors SQLite has rolled back by itself.
        if (this.database.isTransaction) this.run('ROLLBACK')
      } catch {
        // The first error is the one to report.
      }
      return storeError(error)
    }
  }

  private apply(change: Change): void {
    switch (change.kind) {
      case 'add':
        this.add(change.message, change.content)
        break
      case 'mark':
        this.mark(change.id, change.position, change.state, change.last, change.ms)
        break
      case 'due':
        this.run(`UPDATE message SET due_${change.channel} = ? WHERE id = ?`, change.atMs ?? null, change.id)
        break
      case 'hold':
        this.run('UPDATE message SET held = ? WHERE id = ?', change.held ? 1 : 0, change.id)
        break
      case 'hurry':
        for (const channel of ['local', 'remote'] as const) {
          const which = change.id === undefined ? `due_${channel} > ?1` : `id = ?2 AND due_${channel} > ?1`
          const sql = `UPDATE message SET due_${channel} = ?1 WHERE ${which}`
          if (change.id === undefined) this.run(sql, change.atMs)
          else this.run(sql, change.atMs, change.id)
        }
        break
      case 'remove':
        for (const row of this.statement('DELETE FROM message WHERE id = ? RETURNING in_file').all(change.id))
          if (row['in_file'] === 1) this.removing.push(change.id)
        this.run('DELETE FROM recipient WHERE message = ?', change.id)
        this.run('DELETE FROM content WHERE id = ?', change.id)
        break
      case 'clock':
        this.run('INSERT OR REPLACE INTO clock VALUES (1, ?, ?)', change.seenMs, change.aheadMs)
        break
      case 'clamp':
        this.run('UPDATE message SET born = ?1 WHERE born > ?1', change.bornMs)
        for (const channel of ['local', 'remote'] as const) {
          this.run(`UPDATE message SET due_${channel} = ?1 WHERE due_${channel} > ?1`, change.dueMs[channel])
        }
        break
    }
  }

  private add(message: QueuedMessage, { head, body }: StoredContent): void {
    this.run(
      `INSERT INTO message (${messageColumns}, head) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      message.id,
      message.bornMs,
      toBuffer(message.sender),
      message.uid,
      message.bytes,
      toBuffer(encodeParams(message.params)),
      message.held ? 1 : 0,
      message.inFile ? 1 : 0,
      message.due.local ?? null,
      message.due.remote ?? null,
      toBuffer(head),
    )
    for (const [position, recipient] of message.recipients.entries()) {
      const { channel, state, address, original, prependBytes, params, last, lastMs } = recipient
      this.run(
        `INSERT INTO recipient (message, position, channel, state, address, original, prepend, params, last_text, last_ms)
         VALUES (?, ?, ?, 0, ?, ?, ?, ?, x'', 0)`,
        message.id,
        position,
        channelNumber[channel],
        toBuffer(address),
        original === address ? nothing : toBuffer(original),
        prependBytes,
        toBuffer(encodeParams(params)),
      )
      // Set only for a message imported from another queue.
      if (last !== undefined) this.mark(message.id, position, state, last, lastMs)
    }
    if (body !== undefined) this.run('INSERT INTO content VALUES (?, ?)', message.id, body)
  }

  private mark(id: number, position: number, state: RecipientState, last: Status, ms: number): void {
    this.run(
      `UPDATE recipient SET state = ?, last_code = ?, last_text = ?, last_log = ?, last_answer = ?, last_ms = ?
       WHERE message = ? AND position = ?`,
      states.indexOf(state),
      encodeCode(last),
      toBuffer(last.peerText),
      toBuffer(last.logText),
      toBuffer(encodeAnswer(last.answer)),
      ms,
      id,
      position,
    )
  }

  private message(row: Row): QueuedMessage {
    const id = Number(row['id'])
    return {
      id,
      bornMs: Number(row['born']),
      sender: bytes(row['sender']),
      uid: Number(row['uid']),
      bytes: Number(row['bytes']),
      params: decodeParams(bytes(row['params'])),
      held: row['held'] === 1,
      inFile: row['in_file'] === 1,
      due: { local: optional(row['due_local']), remote: optional(row['due_remote']) },
      recipients: this.rows('SELECT * FROM recipient WHERE message = ? ORDER BY position', id).map(recipientFrom),
    }
  }

  private rows(sql: string, ...values: SQLInputValue[]): Row[] {
    try {
      return this.statement(sql).all(...values)
    } catch (error) {
      throw storeError(error)
    }
  }

  private run(sql: string, ...values: SQLInputValue[]): void {
    this.statement(sql).run(...values)
  }

  private statement(sql: string): StatementSync {
    let statement = this.statements.get(sql)
    if (statement === undefined) {
      statement = this.database.prepare(sql)
      this.statements.set(sql, statement)
    }
    return statement
  }
}

function recipientFrom(row: Row): QueuedRecipient {
  const address = bytes(row['address'])
  return {
    channel: row['channel'] === channelNumber.local ? 'local' : 'remote',
    address,
    original: bytes(row['original']) || address,
    prependBytes: Number(row['prepend']),
    params: decodeParams(bytes(row['params'])),
    state: states[Number(row['state'])] ?? 'waiting',
    last: lastFrom(row),
    lastMs: Number(row['last_ms']),
  }
}

function lastFrom(row: Row): Status | undefined {
  const code = Number(row['last_code'])
  if (code === 0) return undefined
  return {
    ...decodeCode(code),
    peerText: bytes(row['last_text']),
    logText: bytes(row['last_log']),
    answer: decodeAnswer(bytes(row['last_answer'])),
  }
}

function bytes(value: unknown): ByteString {
  return value instanceof Uint8Array ? fromBuffer(value) : ''
}

function optional(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : Number(value)
}

/** SQLite's primary result codes (sqlite.org/rescode.html). */
const resultCode = { busy: 5, ioerr: 10, corrupt: 11, full: 13, notadb: 26 } as const

/** SQLITE_IOERR_WRITE: earlier writes are intact. A quota appears as this, not as a full disk. */
const writeRefused = 778

export function storeError(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const extended = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0
  const message = describeError(error)
  if (extended === writeRefused) return new StoreError('other', message)
  switch (extended & 0xff) {
    case resultCode.full:
      return new StoreError('full', message)
    case resultCode.ioerr:
    case resultCode.corrupt:
    case resultCode.notadb:
      return new StoreError('damaged', message)
    case resultCode.busy:
      return new StoreError('busy', message)
    default:
      return new StoreError('other', message)
  }
}
