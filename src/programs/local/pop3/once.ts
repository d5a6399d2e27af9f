/** qmail-pop3d(8): one session about one Maildir with whoever is on descriptors 0 and 1, behind qmail-popup or authup and a
 *  checkpassword program, as the user whom they let in.
 *  Never:  for root, whose password would be confirmed by it.
 *  Fails:  in words to the client; the exit code is 0, since what stands in front takes another for a wrong password. Another
 *          process's session about the same Maildir goes on beside it, as in qmail. */
import { resolve } from 'node:path'
import { type ByteString, fromText, toText } from '../../../base/byte-string.ts'
import { inheritedEnvironment } from '../../../servers/descriptors/environment.ts'
import { Control } from '../../../stores/control/control.ts'
import type { Home } from '../../../stores/home/layout.ts'
import { MaildropLocks } from '../../../stores/maildir/maildrop-locks.ts'
import { recordRemoval } from '../../../stores/maildir/quota-file.ts'
import { realClock as clock } from '../../../system/clock.ts'
import { flushLog, type Log, openLog } from '../../../system/log.ts'
import { quickFiles } from '../../../system/quick-files.ts'
import { isErrorOutputApart, standardStream } from '../../../system/standard-stream.ts'
import { limits } from './limits.ts'
import { startPop3 } from './pop3.ts'

const tickMilliseconds = 1000

/** Leaves the process. */
export async function servePop3Once(home: Home, maildir: ByteString): Promise<never> {
  const log: Log = isErrorOutputApart() ? openLog('qmail-pop3d') : () => undefined
  if (process.getuid?.() === 0) {
    log('invoked as uid 0, terminating')
    flushLog()
    process.exit(1)
  }
  const control = new Control(home.control, clock)
  const environment = inheritedEnvironment(process.env)
  const peer = {
    service: 'pop3',
    remoteIp: environment.get('TCPREMOTEIP') ?? 'unknown',
    remotePort: Number(environment.get('TCPREMOTEPORT') ?? 0),
  } as const
  const account = environment.get('USER') ?? ''
  const session = startPop3(
    { grant: { account, home: environment.get('HOME') ?? '', peer }, socket: standardStream() },
    {
      files: quickFiles,
      clock,
      log,
      limits,
      locks: new MaildropLocks(),
      idleSecondsMax: () => control.number('timeoutpop3d'),
      removed: (path, what) => recordRemoval(quickFiles, path, what),
    },
    `${fromText(resolve(toText(maildir)))}/`,
  )
  // It keeps the process, too.
  const ticker = setInterval(() => session.tick(), tickMilliseconds)
  await session.ended
  clearInterval(ticker)
  flushLog()
  process.exit(0)
}
