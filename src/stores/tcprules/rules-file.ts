/** The compiled rules of one service, as a listener reads them: checked once a second at most, read again when they have
 *  changed. If a changed file cannot be read, the previous rules stay in force.
 *  Knows:  that a cdb counts even without a source. Never: writes; `start` and `quaver rules compile` do.
 *  Fails:  a source that was never compiled, or an unreadable cdb: `broken`, and no peer may be admitted. */
import type { RulesName } from '../../contracts/services.ts'
import { readFileSync } from 'node:fs'
import { describeError } from '../../base/outcome.ts'
import { CdbReader } from '../../protocols/qmail/cdb.ts'
import { type RuleBase, ruleBase } from '../../protocols/qmail/tcprules-lookup.ts'
import type { Clock } from '../../system/clock.ts'
import type { Home } from '../home/layout.ts'
import { type FileStamp, isOutdated, rulePaths, type RulePaths, stampOf } from './files.ts'

export type Rules =
  /** Neither source nor cdb: the defaults of the service. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'rules'; readonly base: RuleBase; readonly name: string }
  | { readonly kind: 'broken'; readonly problem: string }

const lookMilliseconds = 1000
/** `start` compiles a source that has settled; only after this is the cdb called outdated. */
const outdatedMilliseconds = 10_000
const cdbBytesMax: number = 256 * 1024 * 1024
const absent: Rules = { kind: 'absent' }

export class RulesFile {
  private readonly paths: RulePaths
  private readonly clock: Clock
  private readonly onProblem: (problem: string) => void
  private lookedAt = Number.NEGATIVE_INFINITY
  private stamp = ''
  private rules: Rules = absent
  private lastProblem = ''

  constructor(
    home: Pick<Home, 'control'>,
    service: RulesName,
    clock: Clock,
    onProblem: (problem: string) => void = () => undefined,
  ) {
    this.paths = rulePaths(home, service)
    this.clock = clock
    this.onProblem = onProblem
  }

  current(): Rules {
    const now = this.clock.monotonic()
    if (now - this.lookedAt >= lookMilliseconds) {
      this.lookedAt = now
      this.look()
    }
    return this.rules
  }

  private look(): void {
    const { source, cdb, name } = this.paths
    try {
      const sourceStamp = stampOf(source)
      const cdbStamp = stampOf(cdb)
      if (cdbStamp === undefined) {
        this.stamp = ''
        if (sourceStamp === undefined) this.rules = absent
        else this.break(`${name}.cdb is not there: 'quaver rules compile' makes it`)
        return
      }
      if (cdbStamp.stamp !== this.stamp) this.read(cdbStamp)
      if (isOutdated(sourceStamp, cdbStamp) && this.hasWaited(sourceStamp))
        this.report(`${name} is newer than ${name}.cdb, which stays in force: 'quaver rules compile'`)
      else if (this.rules.kind === 'rules') this.lastProblem = ''
    } catch (error) {
      const problem = `${name}.cdb: ${describeError(error)}`
      if (this.rules.kind === 'rules') this.report(`${problem}; the rules before stay in force`)
      else this.break(problem)
    }
  }

  private read({ stamp, bytes }: FileStamp): void {
    if (bytes > cdbBytesMax) throw new Error(`${bytes} bytes, limit ${cdbBytesMax}`)
    this.rules = { kind: 'rules', base: openRules(readFileSync(this.paths.cdb)), name: this.paths.name }
    this.stamp = stamp
  }

  private hasWaited(source: FileStamp | undefined): boolean {
    return source !== undefined && this.clock.now() - source.modifiedMs > outdatedMilliseconds
  }

  private break(problem: string): void {
    this.rules = { kind: 'broken', problem }
    this.report(problem)
  }

  private report(problem: string): void {
    if (problem !== this.lastProblem) this.onProblem(problem)
    this.lastProblem = problem
  }
}

/** Throws CdbError if the bytes are no cdb. A lookup in a damaged one throws too. */
export function openRules(bytes: Buffer): RuleBase {
  const reader = new CdbReader(bytes)
  return ruleBase(reader.keys(), (key) => reader.get(key))
}
