/** The line that qmail-queue puts on top of every message. */
import { headerDate } from './date.ts'

export type Invoked = 'from network' | 'by alias' | 'for bounce' | `by uid ${number}`

export function receivedInvoked(id: number, invoked: Invoked, nowMs: number): string {
  return `Received: (qmail ${id} invoked ${invoked}); ${headerDate(nowMs)}\n`
}
