/** An enqueuer in front of a chain of filters that this process runs itself: a message is gathered, and passed on when it is
 *  whole. Programs read it from a file, the head first.
 *  Fails:  with qmail-queue's texts; a chain whose caller no longer waits is left at its next filter. */
import { toBuffer } from '../../base/byte-string.ts'
import { type Envelope, type Params, withLate } from '../../contracts/envelope.ts'
import type { Random } from '../../system/random.ts'
import { spooled } from '../../system/spool.ts'
import { gatheringSink } from '../queue/gathering-sink.ts'
import type { ContentSink, Enqueuer } from '../queue/enqueuer.ts'
import type { Pass } from './filter-pass.ts'

export class FilterEnqueuer implements Enqueuer {
  private readonly random: Random
  private readonly pass: Pass
  private readonly gone: () => boolean

  constructor(random: Random, pass: Pass, gone: () => boolean) {
    this.random = random
    this.pass = pass
    this.gone = gone
  }

  open(envelope: Envelope, params: Params): ContentSink {
    const { random, pass, gone } = this
    return gatheringSink(random, 'its filters', async (head, late, body) => {
      const message = spooled(random, [toBuffer(head)], body.chunks())
      body.close()
      try {
        return await pass(message, envelope, withLate(params, late), gone)
      } finally {
        message.close()
      }
    })
  }
}
