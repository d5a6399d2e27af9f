/** Asks exec to run programs: the caller's half of the execute contract, over one shared connection.
 *  Knows:  lines, time limits. Never: what a program's words or its exit mean.
 *  Fails:  an exec that is gone or does not answer is an ending like any other (`lost`). */
import type { Socket } from 'node:net'
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import {
  decodeExecuteReply,
  encodeExecuteRequest,
  type Ending,
  type ExecuteReply,
  type Run,
  runFault,
} from '../../contracts/execute.ts'
import type { Clock } from '../../system/clock.ts'
import { QuestionLink } from '../question-link.ts'

export interface RunEnd {
  /** `enough`: the caller read what it wanted. `lost`: it is unknown how the program ended. */
  readonly how: Ending | 'enough' | 'lost'
  /** Of `exit`; otherwise 0. */
  readonly code: number
  /** For the log. */
  readonly detail: string
}

/** Gets each line while the program runs, without its line end; false: enough, what comes later is lost. */
export type OnLine = (line: ByteString) => boolean

/** Runs programs for its callers. */
export interface Executor {
  run(run: Run, onLine: OnLine): Promise<RunEnd>
}

/** Beyond a run's own time: exec itself hangs. */
const graceMilliseconds = 5000

export class ExecuteClient implements Executor {
  private readonly questions: QuestionLink<ExecuteReply>

  constructor(connect: () => Promise<Socket>, clock: Clock) {
    this.questions = new QuestionLink({ to: 'exec', purpose: 'execute', clock, connect, decode: decodeExecuteReply })
  }

  async run(run: Run, onLine: OnLine): Promise<RunEnd> {
    const fault = runFault(run)
    if (fault !== undefined) return { how: 'not-run', code: 0, detail: fault }
    let asked = 0
    const question = (ref: number): Buffer => {
      asked = ref
      return encodeExecuteRequest({ request: 'run', ref, ...run })
    }
    try {
      const end = await this.questions.follow(question, endOf(onLine), run.millisecondsMax + graceMilliseconds)
      if (end === enough) this.questions.link.connection?.send(encodeExecuteRequest({ request: 'cancel', ref: asked }))
      return end
    } catch (error) {
      return { how: 'lost', code: 0, detail: describeError(error) }
    }
  }

  close(): void {
    this.questions.close()
  }
}

/** Reads a run's replies; the end of it, when it has come. */
export function endOf(onLine: OnLine): (reply: ExecuteReply) => RunEnd | undefined {
  let partial = ''
  return (reply) => {
    if (reply.reply === 'output') {
      const lines = (partial + fromBuffer(reply.bytes)).split('\n')
      partial = lines.pop() ?? ''
      return lines.every(onLine) ? undefined : enough
    }
    // A last line without its end counts.
    if (partial !== '' && reply.how === 'exit' && !onLine(partial)) return enough
    return { how: reply.how, code: reply.code, detail: reply.detail }
  }
}

export const enough: RunEnd = { how: 'enough', code: 0, detail: '' }
