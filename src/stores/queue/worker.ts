/** The thread in which the engine runs: a commit blocks its thread for milliseconds, and the process's other thread
 *  must go on serving sockets meanwhile. One request, one reply, in order. */
import { parentPort, workerData } from 'node:worker_threads'
import { assert, assertNever } from '../../base/assert.ts'
import { describeError } from '../../base/outcome.ts'
import { type Change, type Channel, type DueKey, type StoreError } from './contract.ts'
import { QueueEngine, storeError } from './engine.ts'

export type StoreRequest =
  | { readonly op: 'open' }
  | { readonly op: 'commit'; readonly units: readonly (readonly Change[])[] }
  | {
      readonly op: 'due'
      readonly channel: Channel
      readonly atMs: number
      readonly limit: number
      readonly after: DueKey | undefined
    }
  | { readonly op: 'nextDue'; readonly channel: Channel; readonly afterMs: number }
  | { readonly op: 'load'; readonly ids: readonly number[] }
  | { readonly op: 'list'; readonly afterId: number; readonly limit: number }
  | { readonly op: 'content'; readonly id: number }
  | { readonly op: 'existing'; readonly ids: readonly number[] }
  | { readonly op: 'counts' }
  | { readonly op: 'clock' }
  | { readonly op: 'close' }

export interface StoreFailure {
  readonly kind: StoreError['kind']
  readonly message: string
}

export type StoreReply = { readonly value: unknown } | { readonly failure: StoreFailure }

/** Pages given back after a commit that removed messages; bounded, so that a commit stays short. */
const shrinkPages = 64
const commitsPerShrink = 200

let engine: QueueEngine | undefined
let commits = 0

function handle(request: StoreRequest): unknown {
  if (request.op === 'open') {
    engine = new QueueEngine(String(workerData))
    return engine.largestId()
  }
  assert(engine !== undefined, 'the store is open')
  switch (request.op) {
    case 'commit': {
      const failures = engine.commit(request.units)
      if (++commits % commitsPerShrink === 0) engine.shrink(shrinkPages)
      return failures.map((failure) => failure && failureFrom(failure))
    }
    case 'due':
      return engine.due(request.channel, request.atMs, request.limit, request.after)
    case 'nextDue':
      return engine.nextDue(request.channel, request.afterMs)
    case 'load':
      return engine.load(request.ids)
    case 'list':
      return engine.list(request.afterId, request.limit)
    case 'content':
      return engine.content(request.id)
    case 'existing': {
      const open = engine
      return request.ids.filter((id) => open.has(id))
    }
    case 'counts':
      return engine.counts()
    case 'clock':
      return engine.clock()
    case 'close':
      engine.close()
      return undefined
    default:
      return assertNever(request)
  }
}

function failureFrom(error: StoreError): StoreFailure {
  return { kind: error.kind, message: error.message }
}

parentPort?.on('message', (request: StoreRequest) => {
  let reply: StoreReply
  try {
    reply = { value: handle(request) }
  } catch (error) {
    const known = storeError(error)
    reply = { failure: { kind: known.kind, message: describeError(known) } }
  }
  parentPort?.postMessage(reply)
})
