/** HOME/users/cdb, read again when it has changed. A home may have none; but if users/assign exists, or a cdb has been read, a
 *  missing file does not mean that its accounts are gone.
 *  Fails:  throws CdbError or Node's errors, or an Error with the remedy: the owner is unknown now, so mail waits. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ByteString } from '../../base/byte-string.ts'
import { CdbReader } from '../../protocols/qmail/cdb.ts'
import { lookupAssigned, type UserRecord } from '../../protocols/qmail/users-lookup.ts'
import { errorCode } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

const cdbBytesMax: number = 512 * 1024 * 1024

export class UsersDatabase {
  private readonly path: string
  private readonly users: string
  private stamp = ''
  private reader: CdbReader | undefined

  constructor(home: Home) {
    this.path = join(home.users, 'cdb')
    this.users = home.users
  }

  /** Undefined: there is no such file, or it says nothing about this mailbox. */
  lookup(local: ByteString): UserRecord | undefined {
    const reader = this.current()
    return reader === undefined ? undefined : lookupAssigned(reader, local)
  }

  private current(): CdbReader | undefined {
    try {
      const facts = statSync(this.path)
      const stamp = `${facts.ino}:${facts.size}:${facts.mtimeMs}`
      if (stamp === this.stamp) return this.reader
      if (facts.size > cdbBytesMax) throw new Error(`${this.path}: ${facts.size} bytes, limit ${cdbBytesMax}`)
      // Reads the whole file at once: compiling replaces it, so a read never mixes two versions.
      this.reader = new CdbReader(readFileSync(this.path))
      this.stamp = stamp
      return this.reader
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      const trouble = this.absence()
      if (trouble !== undefined) throw new Error(trouble, { cause: error })
      return undefined
    }
  }

  private absence(): string | undefined {
    const remedy = "'quaver account compile' makes it anew, and so does a restart"
    if (existsSync(join(this.users, 'assign'))) return `${this.path} is missing, and users/assign is there: ${remedy}`
    return this.reader === undefined ? undefined : `${this.path} is gone, and so is users/assign: bring them back`
  }
}
