/** The process gives way to every other. */
import { readdirSync } from 'node:fs'
import { setPriority } from 'node:os'

const lowest = 19

/** Linux keeps a priority for each thread, and the runtime has started some before the first line of a program runs; those
 *  that are started later have their parent's. Elsewhere it is the process's. */
export function giveWay(): void {
  setPriority(lowest)
  for (const thread of threads()) {
    try {
      setPriority(thread, lowest)
    } catch {
      // It has ended.
    }
  }
}

function threads(): number[] {
  try {
    return readdirSync('/proc/self/task').map(Number)
  } catch {
    return []
  }
}
