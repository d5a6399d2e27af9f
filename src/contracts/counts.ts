/** What a program counts of its work since it began: said to `start` together with its troubles, shown by `quaver metrics`. */
import type { FieldReader, FieldWriter } from './fields.ts'

/** In frames by number: a new name goes to the end. */
export const countNames = [
  'messages-accepted',
  'bounces',
  'local-success',
  'local-deferral',
  'local-failure',
  'remote-success',
  'remote-deferral',
  'remote-failure',
  'connections',
  'connections-refused',
  'connections-open',
  'logins-accepted',
  'logins-credentials',
  'logins-locked',
  'logins-temporary',
  'logins-malformed',
  'logins-mechanism',
] as const
export type CountName = (typeof countNames)[number]
export type Counts = Readonly<Partial<Record<CountName, number>>>

export class Counter<Name extends CountName> {
  private readonly counted: Partial<Record<CountName, number>> = {}

  /** These are reported from the start, as 0: nothing counted yet is not the same as unknown. */
  constructor(names: readonly Name[]) {
    for (const name of names) this.counted[name] = 0
  }

  add(name: Name): void {
    this.counted[name] = (this.counted[name] ?? 0) + 1
  }

  get counts(): Counts {
    return this.counted
  }
}

/** For parts that count the same things. */
export function sumOf(parts: readonly Counts[]): Counts {
  const sum: Partial<Record<CountName, number>> = {}
  for (const part of parts)
    for (const name of countNames) {
      const count = part[name]
      if (count !== undefined) sum[name] = (sum[name] ?? 0) + count
    }
  return sum
}

export function writeCounts(fields: FieldWriter, counts: Counts): void {
  const told = countNames.flatMap((name, index) => {
    const count = counts[name]
    return count === undefined ? [] : [{ index, count }]
  })
  fields.u32(told.length)
  for (const { index, count } of told) fields.u32(index).u64(count)
}

export function readCounts(fields: FieldReader): Counts {
  const counts: Partial<Record<CountName, number>> = {}
  const told = Math.min(fields.u32(), countNames.length)
  for (let n = 0; n < told; n++) {
    const [name, count] = [countNames[fields.u32()], fields.u64()]
    if (name !== undefined) counts[name] = count
  }
  return counts
}
