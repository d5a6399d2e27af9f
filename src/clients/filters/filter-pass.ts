/** A whole chain: filter after filter, then the queue, or the program that stands for it. */
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { done, failed, type Outcome, transient } from '../../base/outcome.ts'
import { builtInFilter, type FilterContext } from '../queue/built-in-filters.ts'
import { handOn, type Enqueuer } from '../queue/enqueuer.ts'
import type { ProgramOrder } from '../queue/filter-chain.ts'
import type { Envelope, Params } from '../../contracts/envelope.ts'
import { programTimeout } from '../../protocols/qmail/queue-exit.ts'
import type { StreamFilter } from '../../protocols/qmail/stream-filter.ts'
import type { Clock } from '../../system/clock.ts'
import type { Launcher } from '../../system/launcher.ts'
import type { Random } from '../../system/random.ts'
import { nextTurn, Spool } from '../../system/spool.ts'
import { runFilter } from './filter.ts'
import { runQueueProgram } from './queue-program.ts'

export interface PassTools {
  readonly launcher: Launcher
  readonly random: Random
  readonly clock: Clock
  readonly queue: Enqueuer
  signatures(): readonly ByteString[]
}

/** Filters the message and hands it on. `gone`: true when the caller no longer waits for the answer. */
export type Pass = (message: Spool, envelope: Envelope, params: Params, gone: () => boolean) => Promise<Outcome<number>>

/** A chain's share of the time that an SMTP client waits for the end of DATA (600 s). */
const chainMillisecondsMax = 300_000
const bytesAtOnce: number = 1024 * 1024

export function filterPass(tools: PassTools, order: ProgramOrder): Pass {
  return async (message, envelope, params, gone) => {
    const files = new Files(tools.random, message)
    try {
      return await pass(tools, order, files, envelope, params, gone)
    } finally {
      files.close()
    }
  }
}

async function pass(
  tools: PassTools,
  order: ProgramOrder,
  files: Files,
  first: Envelope,
  params: Params,
  gone: () => boolean,
): Promise<Outcome<number>> {
  const deadline = tools.clock.monotonic() + chainMillisecondsMax
  const { environment } = order
  const context: FilterContext = { environment, now: () => tools.clock.now(), signatures: () => tools.signatures() }
  let envelope = first
  let { queueProgram } = order
  for (const filter of order.filters) {
    if (gone()) return failed(abandoned)
    const own = builtInFilter(filter, context)
    if (own !== undefined) {
      const outcome = await files.through(own)
      if (!outcome.done) return outcome
      continue
    }
    const millisecondsMax = Math.floor(deadline - tools.clock.monotonic())
    if (millisecondsMax <= 0) return failed({ ...programTimeout, logText: `${filter}: no time left for it` })
    const message = await files.fresh()
    const outcome = await runFilter(tools.launcher, tools.random, {
      filter,
      message,
      envelope,
      environment,
      millisecondsMax,
    })
    if (!outcome.done) return outcome
    if (outcome.value.discard) return done(process.pid)
    files.replaceIfWritten(outcome.value.message)
    envelope = outcome.value.envelope
    if (outcome.value.queueProgram !== '') queueProgram = outcome.value.queueProgram
  }
  if (gone()) return failed(abandoned)
  if (queueProgram === '') return handOn(tools.queue.open(envelope, params), '', files.current.chunks())
  const millisecondsMax = Math.floor(deadline - tools.clock.monotonic())
  if (millisecondsMax <= 0) return failed({ ...programTimeout, logText: `${queueProgram}: no time left for it` })
  const message = await files.fresh()
  const input = { filter: queueProgram, message, envelope, environment, millisecondsMax }
  return await runQueueProgram(tools.launcher, tools.random, input)
}

const abandoned = transient('3.0', 'qq read error', 'nobody waits for this message any more')

/** The message as it is now. A program moves the offset of the file that it reads, so each gets a file of its own. */
class Files {
  current: Spool
  private readonly random: Random
  private readonly original: Spool
  private spent = false

  constructor(random: Random, original: Spool) {
    this.random = random
    this.original = original
    this.current = original
  }

  /** For one program to read. */
  async fresh(): Promise<Spool> {
    if (this.spent) await this.copy(Buffer.alloc(0))
    this.spent = true
    return this.current
  }

  async through(filter: StreamFilter): Promise<Outcome<undefined>> {
    for (const chunk of this.current.chunks()) filter.push(chunk)
    const refusal = filter.refusal()
    if (refusal !== undefined) return failed(refusal)
    if (filter.prefix !== '') await this.copy(toBuffer(filter.prefix))
    return done(undefined)
  }

  replaceIfWritten(message: Spool | undefined): void {
    if (message !== undefined) this.replace(message, true)
  }

  /** The original is for its owner to close. */
  close(): void {
    if (this.current !== this.original) this.current.close()
  }

  private async copy(prefix: Buffer): Promise<void> {
    const copy = new Spool(this.random)
    try {
      copy.append(prefix)
      let sinceTurn = 0
      for (const chunk of this.current.chunks()) {
        copy.append(chunk)
        sinceTurn += chunk.length
        if (sinceTurn < bytesAtOnce) continue
        sinceTurn = 0
        await nextTurn()
      }
    } catch (error) {
      copy.close()
      throw error
    }
    this.replace(copy, false)
  }

  private replace(next: Spool, spent: boolean): void {
    this.close()
    this.current = next
    this.spent = spent
  }
}
