/** How many descriptors this process may have, and has. Undefined where the system does not tell (only Linux does). */
import { readdirSync, readFileSync } from 'node:fs'

export function descriptorsMax(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}

export function descriptorsOpen(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}
