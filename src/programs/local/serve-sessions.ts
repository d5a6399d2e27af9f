/** The sessions of this process, with what they need of the machine. Nothing of it is made before the first one comes. */
import type { LoginService } from '../../contracts/services.ts'
import type { ByteString } from '../../base/byte-string.ts'
import type { ContentBudget } from '../../clients/queue/content-budget.ts'
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import type { SessionGrant } from '../../contracts/assign.ts'
import { MaildropLocks } from '../../stores/maildir/maildrop-locks.ts'
import { recordRemoval } from '../../stores/maildir/quota-file.ts'
import { realClock as clock } from '../../system/clock.ts'
import { isOpenSocket } from '../../system/descriptors.ts'
import type { Log } from '../../system/log.ts'
import { quickFiles } from '../../system/quick-files.ts'
import { realRandom as random } from '../../system/random.ts'
import { limits as pop3Limits } from './pop3/limits.ts'
import { type Pop3Tools, startPop3 } from './pop3/pop3.ts'
import { Sessions } from './sessions.ts'
import { KeepAlive } from './keep-alive.ts'
import { startSubmission } from './submission/submission.ts'
import { type SubmissionTools, submissionTools } from './submission/tools.ts'

export interface SessionsWorld {
  readonly homePath: string
  readonly demo: boolean
  readonly queue: Enqueuer
  /** Of its own messages and of those that sessions take. */
  readonly budget: ContentBudget
  readonly log: Log
  /** The process stays until the returned function is called. */
  hold(): () => void
}

export interface ServedSessions {
  expect(grant: SessionGrant): void
  revoke(account: ByteString): void
  close(service: LoginService): void
  /** What the process would forget if it left may be forgotten: others need the room. */
  forget(): void
  /** The process is to end. */
  shutdown(): void
}

/** Undefined: lspawn gave no socket for them. */
export function serveSessions(fd: number, world: SessionsWorld): ServedSessions | undefined {
  if (!isOpenSocket(fd)) return undefined
  const { log, hold } = world
  let known: { readonly submission: SubmissionTools; readonly pop3: Pop3Tools } | undefined
  const keepAlive = new KeepAlive(clock, hold)
  const tools = () => (known ??= makeTools(world, keepAlive))
  const sessions = new Sessions({
    clock,
    log,
    hold,
    serve: {
      pop3: (session) => startPop3(session, tools().pop3),
      submission: (session) => startSubmission(session, tools().submission),
    },
  })
  sessions.serve(fd)
  return {
    expect: (grant) => sessions.expect(grant),
    revoke: (account) => sessions.revoke(account),
    close: (service) => sessions.close(service),
    forget: () => keepAlive.leave(),
    shutdown() {
      keepAlive.end()
      sessions.shutdown()
    },
  }
}

function makeTools(
  world: SessionsWorld,
  keepAlive: KeepAlive,
): { readonly submission: SubmissionTools; readonly pop3: Pop3Tools } {
  const submission = submissionTools({
    ...world,
    clock,
    random,
    keepAliveFor: (milliseconds) => keepAlive.for(milliseconds),
  })
  const { control } = submission
  const pop3: Pop3Tools = {
    files: quickFiles,
    clock,
    log: world.log,
    limits: pop3Limits,
    locks: new MaildropLocks(),
    idleSecondsMax() {
      control.refresh()
      return control.number('timeoutpop3d')
    },
    removed: (maildir, what) => recordRemoval(quickFiles, maildir, what),
  }
  return { submission, pop3 }
}
