/** Gives a message to the queue; with the daemons down, leaves it in the drop directory, which is as safe. */
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Failure, Outcome } from '../../base/outcome.ts'
import { describeError, permanent, transient } from '../../base/outcome.ts'
import { EnqueueClient } from '../../clients/queue/enqueue.ts'
import { type Envelope, noParams } from '../../contracts/envelope.ts'
import { Control } from '../../stores/control/control.ts'
import { handInBytesMax } from '../../stores/control/hand-in-limit.ts'
import { drop, dropDirectory } from '../../stores/drop/drop.ts'
import { type Home, socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { connectPath } from '../../system/frame-connection.ts'
import { realRandom } from '../../system/random.ts'
import type { Spooled } from './spool.ts'

export type HandedIn =
  | { readonly kind: 'queued'; readonly id: number }
  | { readonly kind: 'dropped'; readonly path: string }
  | { readonly kind: 'failed'; readonly failure: Failure }

export async function handIn(home: Home, envelope: Envelope, content: Spooled): Promise<HandedIn> {
  let nobodyServes = false
  const client = enqueueClient(home, (error) => {
    nobodyServes = ['ENOENT', 'ECONNREFUSED'].includes(errorCode(error))
  })
  const outcome = await enqueue(client, envelope, content)
  client.close()
  if (outcome.done) return { kind: 'queued', id: outcome.value }
  return nobodyServes ? await leave(home, envelope, content) : { kind: 'failed', failure: outcome.failure }
}

/** Over the socket for everybody: the kernel says who we are. */
export function enqueueClient(home: Home, onRefused: (error: unknown) => void = () => undefined): EnqueueClient {
  const connect = async (): Promise<Socket> => {
    try {
      return await connectPath(socketPath(home, 'queue-inject'))
    } catch (error) {
      onRefused(error)
      throw error
    }
  }
  return new EnqueueClient(connect, realClock)
}

export async function enqueue(client: EnqueueClient, envelope: Envelope, content: Spooled): Promise<Outcome<number>> {
  if (content.whole !== undefined) return await client.submit(envelope, noParams, content.whole)
  const stream = await client.open(envelope, noParams)
  if (!stream.done) return stream
  for await (const chunk of content.chunks()) await stream.value.write(chunk)
  return await stream.value.close()
}

async function leave(home: Home, envelope: Envelope, content: Spooled): Promise<HandedIn> {
  if (content.bytes > handInBytesMax(new Control(home.control, realClock)))
    return { kind: 'failed', failure: permanent('sorry, that message size exceeds my databytes limit (#5.3.4)') }
  const name = `${realClock.now()}.${process.pid}.${realRandom.bytes(6).toString('hex')}`
  try {
    await drop(home, name, envelope, content.bytes, content.chunks())
    return { kind: 'dropped', path: join(dropDirectory(home), name) }
  } catch (error) {
    const text = `cannot write to ${dropDirectory(home)}: ${describeError(error)}`
    const isFull = ['ENOSPC', 'EDQUOT'].includes(errorCode(error))
    const peerText = isFull ? 'qq write error or disk full (#4.3.1)' : 'qq trouble creating files in queue (#4.3.0)'
    return { kind: 'failed', failure: transient(peerText, text) }
  }
}
