/** Connections for streamed messages, each for one message at a time. Where the queue gives files, a connection has a second
 *  one for their descriptors, and a few are kept for the next messages. */
import { randomInt } from 'node:crypto'
import type { Socket } from 'node:net'
import { encodeHello } from '../../contracts/hello.ts'
import type { Clock } from '../../system/clock.ts'
import { canPassDescriptors, receiveDescriptor } from '../../system/descriptor-passing.ts'
import { descriptorOf } from '../../system/descriptors.ts'
import type { EnqueuePort } from './enqueue-port.ts'
import { LinkedPort } from './linked-port.ts'
import type { EnqueueLink } from './queue-sink.ts'

/** Kept for the next messages. */
const idleMax = 16

interface StreamLink {
  readonly port: LinkedPort
  /** Of the connection that `port` has. */
  descriptors: Socket | undefined
}

export class StreamLinks {
  private readonly connect: () => Promise<Socket>
  private readonly clock: Clock
  private readonly connectUnread: (() => Promise<Socket>) | undefined
  private readonly idle: StreamLink[] = []

  constructor(connect: () => Promise<Socket>, clock: Clock, connectUnread: (() => Promise<Socket>) | undefined) {
    this.connect = connect
    this.clock = clock
    this.connectUnread = connectUnread
  }

  /** Rejects if the queue is away. */
  async take(): Promise<EnqueueLink> {
    const link = this.idle.pop() ?? this.make()
    const port = await portOf(link)
    const release = (): void => this.release(link)
    if (link.descriptors === undefined) return { port, release }
    return { port, release, receiveDescriptor: () => receive(link) }
  }

  close(): void {
    for (const link of this.idle.splice(0)) end(link)
  }

  private release(link: StreamLink): void {
    if (link.descriptors !== undefined && this.idle.length < idleMax) this.idle.push(link)
    else end(link)
  }

  private make(): StreamLink {
    const { clock, connectUnread } = this
    const setting = { to: 'the queue', purpose: 'enqueue', clock } as const
    if (connectUnread === undefined || !canPassDescriptors())
      return { port: new LinkedPort({ ...setting, connect: this.connect }), descriptors: undefined }
    const pair = randomInt(1, 0x1_0000_0000)
    const connect = async (): Promise<Socket> => {
      link.descriptors?.destroy()
      link.descriptors = await connectUnread()
      link.descriptors.on('error', () => undefined)
      link.descriptors.write(encodeHello({ purpose: 'descriptors', uid: 0, pair }))
      return this.connect()
    }
    const link: StreamLink = { port: new LinkedPort({ ...setting, pair, connect }), descriptors: undefined }
    return link
  }
}

/** Ends a link that could not be made. */
async function portOf(link: StreamLink): Promise<EnqueuePort> {
  try {
    return await link.port.port()
  } catch (error) {
    end(link)
    throw error
  }
}

function receive({ descriptors }: StreamLink): ReturnType<typeof receiveDescriptor> {
  const fd = descriptors === undefined ? undefined : descriptorOf(descriptors)
  return fd === undefined ? undefined : receiveDescriptor(fd)
}

function end({ port, descriptors }: StreamLink): void {
  port.close()
  descriptors?.destroy()
}
