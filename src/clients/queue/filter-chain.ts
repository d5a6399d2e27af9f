/** The enqueuer of a message that has to pass through filters first: control/smtpfilters and its like, or what QMAILQUEUE
 *  and QMAILQUEUEFILTERS of its connection name (qmail-qfilter, qmail-qfilter-queue).
 *  Knows:  filters of our own at the head of the list run here, while content passes by; from the first other one on,
 *          the message goes to what runs programs (exec, for services), which hands the result to the queue itself.
 *  Fails:  with qmail-queue's texts; without exec every message that needs it is deferred. */
import type { Socket } from 'node:net'
import { assert } from '../../base/assert.ts'
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { describeError, done, type Failure, failed, type Outcome, transient } from '../../base/outcome.ts'
import { encodeExecuteRequest, environmentBytes, environmentBytesMax, filtersMax } from '../../contracts/execute.ts'
import { parseList } from '../../protocols/qmail/control-format.ts'
import type { StreamFilter } from '../../protocols/qmail/stream-filter.ts'
import { encodingFault } from '../../protocols/qmail/written-text.ts'
import type { Clock } from '../../system/clock.ts'
import { builtInFilter, FilteringEnqueuer, isBuiltInFilter } from './built-in-filters.ts'
import type { ContentBudget } from './content-budget.ts'
import { LinkedPort } from './linked-port.ts'
import { type EnqueueLink, QueueSink } from './queue-sink.ts'
import { refusing, type Enqueuer } from './enqueuer.ts'

/** Longer than exec gives a whole chain. */
const answerMillisecondsMax = 330_000

type Environment = ReadonlyMap<string, ByteString>

export interface FilterTools {
  readonly queue: Enqueuer
  readonly clock: Clock
  /** An enqueuer that runs these programs. */
  programs(order: ProgramOrder): Enqueuer
  /** control/signatures. */
  signatures(): readonly ByteString[]
  /** The file that QMAILQUEUEFILTERS names, relative to the home; undefined: there is none. */
  readFile(name: ByteString): Buffer | undefined
}

/** Which filters a message of this connection passes, and what takes it then. */
export interface FilterPlan {
  readonly filters: readonly ByteString[]
  /** Empty: our queue. */
  readonly queueProgram: ByteString
  /** The file or variable that decided; for the log and for `explain`. */
  readonly decidedBy: string
}

/** Programs that a message passes on its way, and what takes it then. */
export interface ProgramOrder {
  readonly filters: readonly ByteString[]
  /** Empty: our queue. */
  readonly queueProgram: ByteString
  readonly environment: Environment
}

/** For services, whose programs exec runs. */
export interface ExecTools {
  connectExec(): Promise<Socket>
  readonly clock: Clock
  /** For what goes through exec; the queue has its own. */
  readonly budget: ContentBudget
}

/** `listed`: what the service's own control file says (`smtpfilters`, …), of the name `file`.
 *  QMAILQUEUE replaces it; QMAILQUEUEFILTERS counts only for qmail-qfilter-queue, as in qmail. */
export function planFilters(
  environment: Environment,
  listed: readonly ByteString[],
  file: string,
  readFile: FilterTools['readFile'],
): Outcome<FilterPlan> {
  const program = environment.get('QMAILQUEUE')
  const last = environment.get('QQF_QMAILQUEUE') ?? ''
  if (program === '') return failed(emptyProgram)
  if (program === undefined) return done({ filters: listed, queueProgram: last, decidedBy: `control/${file}` })
  if (!isFilterQueue(program)) return done({ filters: [], queueProgram: program, decidedBy: 'QMAILQUEUE' })
  const named = environment.get('QMAILQUEUEFILTERS')
  if (named === undefined) return done({ filters: [], queueProgram: last, decidedBy: 'QMAILQUEUE' })
  try {
    const content = readFile(named)
    if (content === undefined) return failed(unreadable(`QMAILQUEUEFILTERS names ${named}, which does not exist`))
    const text = fromBuffer(content)
    const fault = encodingFault(text)
    if (fault !== undefined) return failed(unreadable(`QMAILQUEUEFILTERS names ${named}, which ${fault}`))
    const filters = parseList(text)
    return done({ filters, queueProgram: last, decidedBy: named })
  } catch (error) {
    return failed(unreadable(`QMAILQUEUEFILTERS names ${named}: ${describeError(error)}`))
  }
}

export function enqueuerForPlan(plan: Outcome<FilterPlan>, environment: Environment, tools: FilterTools): Enqueuer {
  if (!plan.done) return refusing(plan.failure)
  const { filters, queueProgram } = plan.value
  const ownVariables = new Map(environment).set('QMAILPPID', String(process.pid))
  for (const name of ['QMAILQUEUE', 'QMAILQUEUEFILTERS', 'QMAILNAME']) ownVariables.delete(name)
  const head = filters.findIndex((filter) => !isBuiltInFilter(filter))
  const count = head < 0 ? filters.length : head
  const isQueueNext = count === filters.length && queueProgram === ''
  let enqueuer: Enqueuer = isQueueNext
    ? tools.queue
    : tools.programs({ filters: filters.slice(count), queueProgram, environment: ownVariables })
  const context = { environment: ownVariables, now: () => tools.clock.now(), signatures: () => tools.signatures() }
  for (const filter of filters.slice(0, count).reverse())
    enqueuer = new FilteringEnqueuer(() => made(filter, context), enqueuer)
  return enqueuer
}

/** One connection to exec for each message. */
export function enqueuerByExec(
  { clock, budget, connectExec }: ExecTools,
  { filters, queueProgram, environment }: ProgramOrder,
): Enqueuer {
  if (filters.length > filtersMax) return refusing(unreadable(`${filters.length} filters, limit ${filtersMax}`))
  const bytes = environmentBytes(environment)
  if (bytes > environmentBytesMax) return refusing(unreadable(`environment of ${bytes} bytes`))
  const opening = [encodeExecuteRequest({ request: 'chain', filters, queueProgram, environment })]
  const link = { to: 'exec', purpose: 'execute', clock, connect: connectExec, opening, answerMillisecondsMax } as const
  const connect = async (): Promise<EnqueueLink> => {
    const own = new LinkedPort(link)
    return { port: await own.port(), release: () => own.close() }
  }
  return { open: (envelope, params) => new QueueSink({ to: 'exec', budget, connect }, envelope, params) }
}

function isFilterQueue(program: ByteString): boolean {
  return program.slice(program.lastIndexOf('/') + 1) === 'qmail-qfilter-queue'
}

function made(filter: ByteString, context: Parameters<typeof builtInFilter>[1]): StreamFilter {
  const found = builtInFilter(filter, context)
  assert(found !== undefined, 'the head of a chain is built in')
  return found
}

const emptyProgram: Failure = transient('3.0', 'unable to exec qq', 'QMAILQUEUE is set and empty')

function unreadable(logText: string): Failure {
  return transient('3.0', 'qq unable to read configuration', logText)
}
