/** Serves authd-admin: lists failed logins and locked peers and accounts, and lifts locks, for the command line. */
import { fromText, lowerAscii } from '../../base/byte-string.ts'
import { readOperation } from '../../system/admin-server.ts'
import type { Clock } from '../../system/clock.ts'
import type { LoginGuard } from './guard.ts'

export function answerAbout(guard: LoginGuard, clock: Clock, request: unknown): object[] {
  const { op, field } = readOperation(request)
  if (op === 'failures') {
    return guard.list().map(({ subject, name, count, lastMs, untilMs }) => {
      return { subject, name, count, lastMs, lockedForMs: Math.max(0, untilMs - clock.now()) }
    })
  }
  if (op !== 'forgive') throw new Error(`authd knows failures and forgive, not '${op}'`)
  const who = field('who')
  if (typeof who !== 'string' || who === '') throw new Error("'who' is an address of a peer, or an account")
  return [{ forgiven: guard.forgive(lowerAscii(fromText(who))) }]
}
