/** A taker in front of a chain of filters that this process runs itself: a message is gathered in a temporary file, and
 *  passed on when it is whole.
 *  Fails:  with qmail-queue's texts; a chain that nobody waits for any more is left at its next filter. */
import { describeError, done, type Failure, failed, type Outcome, transient } from '../../base/outcome.ts'
import type { Envelope, Params } from '../../contracts/envelope.ts'
import type { Random } from '../../system/random.ts'
import { Spool } from '../../system/spool.ts'
import type { ContentSink, Taker } from '../queue/taker.ts'
import type { Pass } from './filter-pass.ts'

export class FilterTaker implements Taker {
  private readonly random: Random
  private readonly pass: Pass
  private readonly gone: () => boolean

  constructor(random: Random, pass: Pass, gone: () => boolean) {
    this.random = random
    this.pass = pass
    this.gone = gone
  }

  async submit(envelope: Envelope, params: Params, content: Buffer): Promise<Outcome<number>> {
    const sink = await this.open(envelope, params)
    if (!sink.done) return sink
    await sink.value.write(content)
    return sink.value.close()
  }

  open(envelope: Envelope, params: Params): Promise<Outcome<ContentSink>> {
    let spool: Spool
    try {
      spool = new Spool(this.random)
    } catch (error) {
      return Promise.resolve(failed(diskTrouble(error)))
    }
    let trouble: Failure | undefined
    const { pass, gone } = this
    return Promise.resolve(
      done({
        write(bytes) {
          try {
            if (trouble === undefined) spool.append(bytes)
          } catch (error) {
            trouble = diskTrouble(error)
          }
          return Promise.resolve()
        },
        async close() {
          try {
            return trouble === undefined ? await pass(spool, envelope, params, gone) : failed(trouble)
          } catch (error) {
            return failed(diskTrouble(error))
          } finally {
            spool.close()
          }
        },
        abandon: () => spool.close(),
      }),
    )
  }
}

function diskTrouble(error: unknown): Failure {
  const logText = `cannot keep a message for its filters: ${describeError(error)}`
  return transient('3.0', 'qq write error or disk full', logText)
}
