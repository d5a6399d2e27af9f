/** Leaves a message in HOME/queue/drop, for the pickup to enqueue when the daemons are up.
 *  Fails:  with qmail-queue's texts. */
import { join } from 'node:path'
import { describeError, done, failed, type Outcome, permanent, transient } from '../../base/outcome.ts'
import type { Envelope } from '../../contracts/envelope.ts'
import { realClock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import type { StoredBytes } from '../../system/spool.ts'
import { realRandom } from '../../system/random.ts'
import type { Home } from '../home/layout.ts'
import { drop, dropDirectory } from './drop.ts'

/** Resolves with the path of the file, once the message is durable. */
export async function leaveInDrop(home: Home, envelope: Envelope, content: StoredBytes): Promise<Outcome<string>> {
  // Loaded late: small programs mostly hand mail in to a running queue, and need no table of control files for that.
  const [{ Control }, { handInBytesMax }] = await Promise.all([
    import('../control/control.ts'),
    import('../control/hand-in-limit.ts'),
  ])
  if (content.bytes > handInBytesMax(new Control(home.control, realClock)))
    return failed(permanent('3.4', 'sorry, that message size exceeds my databytes limit'))
  const name = `${realClock.now()}.${process.pid}.${realRandom.bytes(6).toString('hex')}`
  try {
    await drop(home, name, envelope, content.bytes, content.chunks())
    return done(join(dropDirectory(home), name))
  } catch (error) {
    const text = `cannot write to ${dropDirectory(home)}: ${describeError(error)}`
    const isFull = ['ENOSPC', 'EDQUOT'].includes(errorCode(error))
    return failed(
      isFull
        ? transient('3.1', 'qq write error or disk full', text)
        : transient('3.0', 'qq trouble creating files in queue', text),
    )
  }
}
