/** Randomness, handed in so that a simulation can hand in its own. */
import { randomBytes, randomInt } from 'node:crypto'

export interface Random {
  bytes(count: number): Buffer
  /** A whole number from 0 to limit - 1. */
  below(limit: number): number
}

export const realRandom: Random = {
  bytes: (count) => randomBytes(count),
  below: (limit) => (limit <= 1 ? 0 : randomInt(limit)),
}

/** Fisher and Yates; the list handed in stays as it is. */
export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const result = [...items]
  for (let last = result.length - 1; last > 0; last--) {
    const other = random.below(last + 1)
    const moved = result[last] as T
    result[last] = result[other] as T
    result[other] = moved
  }
  return result
}
