/** Gives a message to the queue as the calling user; with the daemons down, leaves it where `leave` says.
 *  Fails:  with qmail-queue's texts. */
import type { Socket } from 'node:net'
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { done, failed, type Failure, type Outcome, permanent } from '../../base/outcome.ts'
import {
  addressBytesMax,
  type Envelope,
  envelopeBytesMax,
  isAddress,
  noParams,
  type Params,
  recipientsMax,
} from '../../contracts/envelope.ts'
import { realClock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { connectPath } from '../../system/frame-connection.ts'
import type { StoredBytes } from '../../system/spool.ts'
import { EnqueueClient } from './enqueue.ts'
import { handOn, type Enqueuer } from './enqueuer.ts'

export type HandedIn =
  | { readonly kind: 'queued'; readonly id: number }
  | { readonly kind: 'dropped'; readonly path: string }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** With the parameters of the message. They are not in qmail-queue's form, and a message that waits in the drop directory has
 *  lost them, and those of its recipients. */
export interface HandedEnvelope extends Envelope {
  readonly params?: Params
}

export interface Ways {
  /** The queue's socket that every user may connect to. */
  readonly socketPath: string
  /** Puts the message where it is as safe; resolves with its path. */
  readonly leave: (envelope: Envelope, content: StoredBytes) => Promise<Outcome<string>>
}

/** `head`: header lines above the content that its writer did not write. In the drop directory they are content. */
export async function handIn(
  ways: Ways,
  envelope: HandedEnvelope,
  content: StoredBytes,
  head: ByteString = '',
): Promise<HandedIn> {
  let nobodyServes = false
  const client = enqueueClient(ways.socketPath, (error) => {
    nobodyServes = ['ENOENT', 'ECONNREFUSED'].includes(errorCode(error))
  })
  const outcome = await enqueue(client, envelope, content, head)
  client.close()
  if (outcome.done) return { kind: 'queued', id: outcome.value }
  if (!nobodyServes) return { kind: 'failed', failure: outcome.failure }
  const left = await ways.leave(envelope, headed(head, content))
  return left.done ? { kind: 'dropped', path: left.value } : { kind: 'failed', failure: left.failure }
}

/** `qp`: the message's number in the queue; of one that waits in the drop directory, this process. */
export function handedIn(handed: HandedIn): Outcome<number> {
  if (handed.kind === 'failed') return failed(handed.failure)
  return done(handed.kind === 'queued' ? handed.id : process.pid)
}

/** Over the socket for every user: the kernel tells the queue which user calls. */
export function enqueueClient(
  socketPath: string,
  onRefused: (error: unknown) => void = () => undefined,
): EnqueueClient {
  const connect = async (): Promise<Socket> => {
    try {
      return await connectPath(socketPath)
    } catch (error) {
      onRefused(error)
      throw error
    }
  }
  return new EnqueueClient(connect, realClock)
}

export async function enqueue(
  enqueuer: Enqueuer,
  envelope: HandedEnvelope,
  content: StoredBytes,
  head: ByteString = '',
): Promise<Outcome<number>> {
  const fault = envelopeFault(envelope)
  if (fault !== undefined) return failed(fault)
  return await handOn(enqueuer.open(envelope, envelope.params ?? noParams), head, content.chunks())
}

function headed(head: ByteString, content: StoredBytes): StoredBytes {
  if (head === '') return content
  const top = toBuffer(head)
  return {
    bytes: top.length + content.bytes,
    *chunks() {
      yield top
      yield* content.chunks()
    },
  }
}

/** Why the queue would refuse the envelope for good. */
function envelopeFault({ sender, recipients }: Envelope): Failure | undefined {
  const addresses = [sender, ...recipients]
  const refused = (logText: string): Failure => permanent('3.0', 'qq permanent problem', logText)
  if (addresses.some(({ length }) => length > addressBytesMax))
    return permanent('1.3', 'envelope address too long for qq')
  if (!addresses.every(isAddress)) return refused('an address has a line end or a NUL')
  if (recipients.length > recipientsMax) return refused(`${recipients.length} recipients, limit ${recipientsMax}`)
  const bytes = addresses.reduce((sum, address) => sum + address.length + 2, 1)
  return bytes > envelopeBytesMax ? refused(`an envelope of ${bytes} bytes, limit ${envelopeBytesMax}`) : undefined
}
