/** A sink for enqueuers that need the message whole, the head first: the body is kept, in memory or in a temporary file, until
 *  it is closed.
 *  Fails:  with qmail-queue's words if it cannot be kept. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError, type Failure, failed, type Outcome, transient } from '../../base/outcome.ts'
import type { Params } from '../../contracts/envelope.ts'
import type { Random } from '../../system/random.ts'
import { Gathered } from '../../system/spool.ts'
import type { ContentSink } from './enqueuer.ts'

/** `whom`: for whom it is kept, in the log. `take` may close the body once it needs it no more; an exception of `take` counts
 *  as trouble with the disk. */
export function gatheringSink(
  random: Random,
  whom: string,
  take: (head: ByteString, late: Params, body: Gathered) => Promise<Outcome<number>>,
): ContentSink {
  const body = new Gathered(random)
  const diskTrouble = (error: unknown): Failure => {
    const logText = `cannot keep a message for ${whom}: ${describeError(error)}`
    return transient('3.0', 'qq write error or disk full', logText)
  }
  let trouble: Failure | undefined
  return {
    write(bytes) {
      try {
        if (trouble === undefined) body.append(bytes)
      } catch (error) {
        trouble = diskTrouble(error)
      }
      return Promise.resolve()
    },
    async close(head, late) {
      try {
        return trouble === undefined ? await take(head, late, body) : failed(trouble)
      } catch (error) {
        return failed(diskTrouble(error))
      } finally {
        body.close()
      }
    },
    abandon: () => body.close(),
  }
}
