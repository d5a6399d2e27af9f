/** The domains whose mail is accepted: control/rcpthosts, and morercpthosts.cdb beyond it.
 *  Never:  opens up by default: without rcpthosts no domain is accepted (qmail would accept all). */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { CdbReader } from '../../protocols/qmail/cdb.ts'
import { hostKeys } from '../../protocols/smtp/address.ts'
import { errorCode } from '../../system/files.ts'
import type { Control } from './control.ts'

const cdbBytesMax: number = 256 * 1024 * 1024

/** Domains beyond rcpthosts: morercpthosts.cdb. */
export interface MoreHosts {
  /** Undefined: it cannot be read. */
  has(key: ByteString): boolean | undefined
}

/** Returns undefined where it is unknown now. `hosts`: the lines of rcpthosts, if there is one. */
export function domainCheck(
  hosts: readonly ByteString[] | undefined,
  moreHosts: MoreHosts,
): (domain: ByteString) => boolean | undefined {
  if (hosts === undefined) return () => false
  const allowed = lowerSet(hosts)
  return (domain) => {
    const keys = [...hostKeys(domain)]
    if (keys.some((key) => allowed.has(key))) return true
    const more = keys.map((key) => moreHosts.has(key))
    return more.includes(true) ? true : more.includes(undefined) ? undefined : false
  }
}

/** Keyed by list, so that an unchanged file is not folded again. */
const sets = new WeakMap<readonly ByteString[], ReadonlySet<ByteString>>()

/** Made once for a list. */
export function lowerSet(list: readonly ByteString[]): ReadonlySet<ByteString> {
  const known = sets.get(list)
  if (known !== undefined) return known
  const set = new Set(list.map(lowerAscii))
  sets.set(list, set)
  return set
}

/** A cdb is replaced by rename, so a changed stamp means a whole new file. While none can be read, its source
 *  control/morercpthosts is used. */
export class MoreHostsFile implements MoreHosts {
  private readonly path: string
  private readonly control: Control
  private readonly onProblem: (problem: string) => void
  private stamp = ''
  private reader: CdbReader | undefined
  private isUnreadable = false
  private lastComplaint = ''

  constructor(control: Control, onProblem: (problem: string) => void) {
    this.path = join(control.directory, 'morercpthosts.cdb')
    this.control = control
    this.onProblem = onProblem
    this.refresh()
  }

  has(key: ByteString): boolean | undefined {
    try {
      if (this.reader !== undefined) return this.reader.get(key) !== undefined
    } catch (error) {
      this.unreadable(error)
      this.reader = undefined
    }
    const lines = this.control.list('morercpthosts')
    if (lines !== undefined) return lowerSet(lines).has(key)
    return this.isUnreadable ? undefined : false
  }

  refresh(): void {
    try {
      const facts = statSync(this.path)
      const stamp = `${facts.ino}:${facts.size}:${facts.mtimeMs}`
      if (stamp === this.stamp) return
      if (facts.size > cdbBytesMax) throw new Error(`${facts.size} bytes, limit ${cdbBytesMax}`)
      const bytes = readFileSync(this.path)
      this.stamp = stamp
      this.reader = new CdbReader(bytes)
      this.isUnreadable = false
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') return this.unreadable(error)
      this.stamp = ''
      this.reader = undefined
      this.isUnreadable = false
    }
  }

  private unreadable(error: unknown): void {
    this.isUnreadable = true
    const problem = `control/morercpthosts.cdb: ${describeError(error)}; the one before stays in force, or its source`
    if (problem !== this.lastComplaint) this.onProblem(problem)
    this.lastComplaint = problem
  }
}
