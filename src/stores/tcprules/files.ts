/** Where the rules of each service are, and whether the compiled ones are outdated. People write `control/tcprules/NAME`; the
 *  listener reads `NAME.cdb` beside it. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { RulesName } from '../../contracts/services.ts'
import { errorCode } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

export function rulesDirectory(home: Pick<Home, 'control'>): string {
  return join(home.control, 'tcprules')
}

export interface RulePaths {
  readonly source: string
  readonly cdb: string
  /** The name in logs and messages. */
  readonly name: string
}

export function rulePaths(home: Pick<Home, 'control'>, service: RulesName): RulePaths {
  const source = join(rulesDirectory(home), service)
  return { source, cdb: `${source}.cdb`, name: `control/tcprules/${service}` }
}

export interface FileStamp {
  /** A changed stamp means a changed file. */
  readonly stamp: string
  readonly modifiedMs: number
  readonly bytes: number
}

/** Undefined if there is no such file. */
export function stampOf(path: string): FileStamp | undefined {
  try {
    const facts = statSync(path)
    return { stamp: `${facts.ino}:${facts.size}:${facts.mtimeMs}`, modifiedMs: facts.mtimeMs, bytes: facts.size }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** qmail-run's condition: the source is newer than the cdb, or there is no cdb. */
export function isOutdated(source: FileStamp | undefined, cdb: FileStamp | undefined): boolean {
  return source !== undefined && (cdb === undefined || source.modifiedMs > cdb.modifiedMs)
}
