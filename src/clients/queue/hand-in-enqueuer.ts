/** The queue of a home as an enqueuer for a program that may run while it is down: messages are kept until they are whole,
 *  and handed in then. */
import { type Envelope, type Params, withLate } from '../../contracts/envelope.ts'
import { realRandom } from '../../system/random.ts'
import type { ContentSink, Enqueuer } from './enqueuer.ts'
import { handedIn, handIn, type Ways } from './hand-in.ts'
import { gatheringSink } from './gathering-sink.ts'

export class HandInEnqueuer implements Enqueuer {
  private readonly ways: Ways

  constructor(ways: Ways) {
    this.ways = ways
  }

  open(envelope: Envelope, params: Params): ContentSink {
    return gatheringSink(realRandom, 'the queue', async (head, late, body) =>
      handedIn(await handIn(this.ways, { ...envelope, params: withLate(params, late) }, body, head)),
    )
  }
}
