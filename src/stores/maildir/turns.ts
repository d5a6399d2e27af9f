/** Long work in small portions: all mailboxes of a uid share a process, and none should wait for a large one. */
import type { Clock } from '../../system/clock.ts'
import { nextTurn } from '../../system/spool.ts'

const millisecondsAtOnce = 5

export class Turns {
  private readonly clock: Clock
  private began: number

  constructor(clock: Clock) {
    this.clock = clock
    this.began = clock.monotonic()
  }

  /** Check it often, and if true, await `next()`. */
  get isOver(): boolean {
    return this.clock.monotonic() - this.began > millisecondsAtOnce
  }

  async next(): Promise<void> {
    await nextTurn()
    this.began = this.clock.monotonic()
  }
}

const itemsSortedAtOnce = 2048

/** A stable sort that lets others work. `items` is used up. */
export async function sortInTurns(
  items: Uint32Array,
  compare: (a: number, b: number) => number,
  turns: Turns,
): Promise<Uint32Array> {
  for (let at = 0; at < items.length; at += itemsSortedAtOnce) {
    items.subarray(at, at + itemsSortedAtOnce).sort(compare)
    if (turns.isOver) await turns.next()
  }
  let from = items
  let to: Uint32Array = new Uint32Array(items.length)
  for (let width = itemsSortedAtOnce; width < items.length; width *= 2) {
    await mergeRuns(from, to, width, compare, turns)
    const used = from
    from = to
    to = used
  }
  return from
}

/** Sorted runs of `width` in `from` become runs of twice that in `to`. */
async function mergeRuns(
  from: Uint32Array,
  to: Uint32Array,
  width: number,
  compare: (a: number, b: number) => number,
  turns: Turns,
): Promise<void> {
  for (let start = 0; start < from.length; start += 2 * width) {
    const middle = Math.min(start + width, from.length)
    const end = Math.min(start + 2 * width, from.length)
    let left = start
    let right = middle
    for (let at = start; at < end; at++) {
      const a = from[left] ?? 0
      const b = from[right] ?? 0
      const takeLeft = right >= end || (left < middle && compare(a, b) <= 0)
      to[at] = takeLeft ? a : b
      if (takeLeft) left++
      else right++
      if (at % itemsSortedAtOnce === 0 && turns.isOver) await turns.next()
    }
  }
}
