/** What the keys mean, as lspawn told; an attempt that comes before its assignment waits for it a little. */
import type { Assignment } from '../../contracts/assign.ts'
import type { Clock } from '../../system/clock.ts'

/** lspawn writes the assignment before it answers the queue, but on another connection. */
const assignmentMillisecondsMax = 10_000
/** lspawn has old ones forgotten long before. */
const assignmentsMax = 200_000

export class Assignments {
  private readonly clock: Clock
  private readonly known = new Map<number, Assignment>()
  private readonly waiting = new Map<number, Set<(assignment: Assignment | undefined) => void>>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  add(assignment: Assignment): void {
    if (this.known.size >= assignmentsMax) throw new Error(`${assignmentsMax} assignments`)
    this.known.set(assignment.key, assignment)
    const settles = this.waiting.get(assignment.key)
    this.waiting.delete(assignment.key)
    for (const settle of settles ?? []) settle(assignment)
  }

  forget(key: number): void {
    this.known.delete(key)
  }

  /** Undefined if it does not come in time. */
  find(key: number): Assignment | undefined | Promise<Assignment | undefined> {
    return this.known.get(key) ?? this.wait(key)
  }

  private wait(key: number): Promise<Assignment | undefined> {
    return new Promise((resolve) => {
      const settles = this.waiting.get(key) ?? new Set()
      this.waiting.set(key, settles)
      const settle = (assignment: Assignment | undefined): void => {
        cancel()
        resolve(assignment)
      }
      const cancel = this.clock.after(assignmentMillisecondsMax, () => {
        settles.delete(settle)
        resolve(undefined)
      })
      settles.add(settle)
    })
  }
}
