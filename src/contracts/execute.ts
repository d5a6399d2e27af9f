/** execute: a program run for a caller → what it says on descriptor 1 while it runs, and how it ended; and messages that
 *  pass through filter programs on their way to the queue.
 *
 *  Caller to exec                                            Exec to caller
 *    run     ref milliseconds outputBytes kind program         output  ref bytes …
 *            arguments environment                             ended   ref how detail
 *    cancel  ref
 *    chain   filters queueProgram environment, then the frames of the enqueue contract for one message
 *
 *  Any number of runs at once on one connection; `chain` dedicates the connection to one message. `cancel` closes the
 *  program's descriptor 1: the program may still finish, in its time. When the connection ends, exec kills all its runs.
 *  The working directory is always the home; descriptor 0 is empty; descriptor 2 goes to exec's log.
 *  The caller's identity follows from the socket: its owner is the account that runs plug-ins. */
import type { ByteString } from '../base/byte-string.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { ContractError, encodeFrame, type Frame } from './frame.ts'

/** Names, values, `=` and NUL of all variables together. */
export const environmentBytesMax: number = 64 * 1024
const variablesMax = 1000
const programBytesMax = 4096
const argumentsMax = 64
export const filtersMax = 64
const detailBytesMax = 1024
const outputBytesAtOnceMax: number = 64 * 1024

const type = { run: 112, cancel: 113, chain: 114, output: 120, ended: 121 } as const
const kinds = ['path', 'shell'] as const
/** `exit` and `signal` with its number or name; `not-run`: it could not be executed; `deadline`: killed, time was up;
 *  `output`: killed, it said more than the caller wants; `busy`: its turn did not come in time. */
const endings = ['exit', 'signal', 'not-run', 'deadline', 'output', 'busy'] as const

export type Variables = ReadonlyMap<ByteString, ByteString>
export type RunKind = (typeof kinds)[number]
export type Ending = (typeof endings)[number]

export interface Run {
  readonly kind: RunKind
  /** A path, relative to the home if not absolute, never searched for; or a command for /bin/sh. */
  readonly program: ByteString
  readonly args: readonly ByteString[]
  /** The whole environment; exec adds PATH if it is missing. */
  readonly environment: Variables
  /** From the request on, waiting for its turn included. */
  readonly millisecondsMax: number
  readonly outputBytesMax: number
}

export type ExecuteRequest =
  | ({ readonly request: 'run'; readonly ref: number } & Run)
  | { readonly request: 'cancel'; readonly ref: number }
  | {
      readonly request: 'chain'
      readonly filters: readonly ByteString[]
      /** Takes the message in place of our queue; empty: our queue. */
      readonly queueProgram: ByteString
      readonly environment: Variables
    }

export type ExecuteReply =
  | { readonly reply: 'output'; readonly ref: number; readonly bytes: Buffer }
  | {
      readonly reply: 'ended'
      readonly ref: number
      readonly how: Ending
      readonly code: number
      readonly detail: string
    }

/** What `variables` count towards the limit. */
export function environmentBytes(variables: Variables): number {
  let bytes = 0
  for (const [name, value] of variables) bytes += name.length + value.length + 2
  return bytes
}

/** Why exec would refuse this run; undefined: it would not. Sending such a run would end all runs on the connection. */
export function runFault({ program, args, environment }: Run): string | undefined {
  const bytes = environmentBytes(environment)
  if (bytes > environmentBytesMax) return `environment of ${bytes} bytes`
  if (environment.size > variablesMax) return `environment of ${environment.size} variables`
  for (const [name, value] of environment)
    if (name === '' || name.includes('=') || name.includes('\0') || value.includes('\0')) return 'malformed variable'
  const words = [program, ...args]
  if (args.length > argumentsMax || words.some((word) => word.length > programBytesMax)) return 'too long a command'
  return words.some((word) => word.includes('\0')) ? 'NUL in the command' : undefined
}

export function encodeExecuteRequest(request: ExecuteRequest): Buffer {
  const fields = new FieldWriter()
  if (request.request === 'chain') {
    fields.strings(request.filters).string(request.queueProgram).strings(encodeVariables(request.environment))
    return encodeFrame(type.chain, ...fields.end())
  }
  fields.u32(request.ref)
  if (request.request === 'cancel') return encodeFrame(type.cancel, ...fields.end())
  fields.u32(request.millisecondsMax).u32(request.outputBytesMax).u8(kinds.indexOf(request.kind))
  fields.string(request.program).strings(request.args).strings(encodeVariables(request.environment))
  return encodeFrame(type.run, ...fields.end())
}

/** Undefined for a frame type that is not this contract's. */
export function decodeExecuteRequest(frame: Frame): ExecuteRequest | undefined {
  if (frame.type < type.run || frame.type > type.chain) return undefined
  const fields = new FieldReader(frame.payload)
  const request = frame.type === type.chain ? decodeChain(fields) : decodeRun(fields, frame.type === type.cancel)
  fields.end()
  return request
}

function decodeChain(fields: FieldReader): ExecuteRequest {
  const filters = fields.strings(filtersMax, programBytesMax)
  const queueProgram = fields.string(programBytesMax)
  return { request: 'chain', filters, queueProgram, environment: decodeVariables(fields) }
}

function decodeRun(fields: FieldReader, isCancel: boolean): ExecuteRequest {
  const ref = fields.u32()
  if (isCancel) return { request: 'cancel', ref }
  const millisecondsMax = fields.u32()
  const outputBytesMax = fields.u32()
  const kind = kinds[fields.u8()]
  if (kind === undefined) throw new ContractError('unknown kind of program')
  const program = fields.string(programBytesMax)
  const args = fields.strings(argumentsMax, programBytesMax)
  const environment = decodeVariables(fields)
  return { request: 'run', ref, kind, program, args, environment, millisecondsMax, outputBytesMax }
}

export function encodeExecuteReply(reply: ExecuteReply): Buffer {
  const fields = new FieldWriter().u32(reply.ref)
  if (reply.reply === 'output') return encodeFrame(type.output, ...fields.rest(reply.bytes).end())
  fields.u8(endings.indexOf(reply.how)).u32(reply.code).string(reply.detail.slice(0, detailBytesMax))
  return encodeFrame(type.ended, ...fields.end())
}

export function decodeExecuteReply(frame: Frame): ExecuteReply | undefined {
  if (frame.type !== type.output && frame.type !== type.ended) return undefined
  const fields = new FieldReader(frame.payload)
  const ref = fields.u32()
  if (frame.type === type.output) {
    const bytes = fields.rest()
    if (bytes.length > outputBytesAtOnceMax) throw new ContractError(`output of ${bytes.length} bytes`)
    return { reply: 'output', ref, bytes }
  }
  const how = endings[fields.u8()]
  if (how === undefined) throw new ContractError('unknown ending')
  const code = fields.u32()
  const detail = fields.string(detailBytesMax)
  fields.end()
  return { reply: 'ended', ref, how, code, detail }
}

function encodeVariables(variables: Variables): string[] {
  return [...variables].map(([name, value]) => `${name}=${value}`)
}

/** `Map`: names come from outside. */
function decodeVariables(fields: FieldReader): Variables {
  const variables = new Map<ByteString, ByteString>()
  for (const record of fields.strings(variablesMax, environmentBytesMax)) {
    const equals = record.indexOf('=')
    if (equals < 1 || record.includes('\0')) throw new ContractError('malformed variable')
    variables.set(record.slice(0, equals), record.slice(equals + 1))
  }
  if (environmentBytes(variables) > environmentBytesMax) throw new ContractError('environment too long')
  return variables
}
