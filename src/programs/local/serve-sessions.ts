/** The sessions of this process, with what they need of the machine. Nothing of it is made before the first one comes. */
import { fstatSync } from 'node:fs'
import type { ByteString } from '../../base/byte-string.ts'
import type { Usage } from '../../protocols/maildir/quota.ts'
import { Control } from '../../stores/control/control.ts'
import { homeAt } from '../../stores/home/layout.ts'
import { MaildropLocks } from '../../stores/maildir/maildrop-locks.ts'
import { recordRemoval } from '../../stores/maildir/quota-file.ts'
import { realClock as clock } from '../../system/clock.ts'
import type { Log } from '../../system/log.ts'
import { quickFiles } from '../../system/quick-files.ts'
import { limits as pop3Limits } from './pop3/limits.ts'
import { startPop3 } from './pop3/pop3.ts'
import { Sessions } from './sessions.ts'

export interface SessionsWorld {
  readonly home: string
  readonly log: Log
  /** The process stays until the returned function is called. */
  hold(): () => void
}

/** Undefined: lspawn gave no socket for them. */
export function serveSessions(fd: number, { home, log, hold }: SessionsWorld): Sessions | undefined {
  if (!isSocket(fd)) return undefined
  let known: Control | undefined
  const control = (): Control => {
    known ??= new Control(homeAt(home).control, clock, (problem) => log(`warning: ${problem}`))
    known.refresh()
    return known
  }
  const pop3 = {
    files: quickFiles,
    clock,
    log,
    limits: pop3Limits,
    locks: new MaildropLocks(),
    idleSecondsMax: () => control().number('timeoutpop3d'),
    removed: (maildir: ByteString, what: Usage) => recordRemoval(quickFiles, maildir, what),
  }
  const sessions = new Sessions({
    clock,
    log,
    hold,
    serve: {
      pop3: (session) => startPop3(session, pop3),
      submission: (session) => startPop3(session, pop3),
    },
  })
  sessions.serve(fd)
  return sessions
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    return false
  }
}
