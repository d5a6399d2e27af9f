/** Which of many addresses one attempt tries: few of each exchanger and family, so that no number of dead ones hides a
 *  live one; those known to be dead are left out first. */
import { isIPv4 } from 'node:net'
import type { Target } from './mail-exchangers.ts'

export const addressesTriedMax = 8
/** Of one exchanger and one family. */
const sameKindTriedMax = 3

/** In the order in which they came. Empty if all are dead. */
export function chooseTargets(targets: readonly Target[], isDead: (address: string) => boolean): readonly Target[] {
  const taken = new Map<string, number>()
  const turns = targets
    .filter(({ address }) => !isDead(address))
    .map((target) => {
      const kind = `${target.name} ${isIPv4(target.address) ? 4 : 6}`
      const turn = taken.get(kind) ?? 0
      taken.set(kind, turn + 1)
      return { target, turn }
    })
    .filter(({ turn }) => turn < sameKindTriedMax)
  // The first of each comes before the second of any.
  const chosen = new Set(turns.toSorted((one, other) => one.turn - other.turn).slice(0, addressesTriedMax))
  return turns.filter((one) => chosen.has(one)).map(({ target }) => target)
}
