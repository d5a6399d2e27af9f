/** The process gives way to others. */
import { readdirSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'

/** Gives way to every other. */
const lowest = 19

/** Linux keeps a priority for each thread, and the runtime has started some before the first line of a program runs; those
 *  that are started later have their parent's. Elsewhere it is the process's. */
export function giveWay(nice: number = lowest): void {
  // The parent may have set a lower priority already, and only root can raise it again.
  const priority = Math.max(nice, getPriority())
  setPriority(priority)
  for (const thread of threads()) {
    try {
      setPriority(thread, priority)
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
