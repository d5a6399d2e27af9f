/** Groups that may be tried at once, the messages in turn: a message to ten thousand recipients does not hold up one to a
 *  single recipient that came after it. Of one message they go in its order. */
import type { Group, Pass } from './live-message.ts'

export class WaitingGroups {
  private readonly first: Group[] = []
  /** Never empty. In the order of their turns. */
  private readonly byPass = new Map<Pass, Group[]>()

  push(group: Group): void {
    const others = this.byPass.get(group.pass)
    if (others === undefined) this.byPass.set(group.pass, [group])
    else others.push(group)
  }

  /** Before all others. */
  unshift(group: Group): void {
    this.first.unshift(group)
  }

  shift(): Group | undefined {
    const group = this.first.shift()
    if (group !== undefined) return group
    const [turn] = this.byPass
    if (turn === undefined) return undefined
    const [pass, groups] = turn
    const next = groups.shift()
    this.byPass.delete(pass)
    if (groups.length > 0) this.byPass.set(pass, groups)
    return next
  }
}
