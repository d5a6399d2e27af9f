/** The enqueue contract on a link of our own: the port of the connection that is there. */
import type { Socket } from 'node:net'
import { assert } from '../../base/assert.ts'
import type { Clock } from '../../system/clock.ts'
import { Link, type LinkSetting } from '../link.ts'
import { EnqueuePort } from './enqueue-port.ts'

interface LinkedPortSetting extends Pick<LinkSetting, 'to' | 'purpose' | 'pair' | 'opening'> {
  readonly clock: Clock
  connect(): Promise<Socket>
  /** Of a message, from its end on; undefined: as the queue needs it. */
  readonly answerMillisecondsMax?: number
}

export class LinkedPort {
  private readonly link: Link
  private current: EnqueuePort | undefined

  constructor({ answerMillisecondsMax, ...setting }: LinkedPortSetting) {
    this.link = new Link({
      ...setting,
      onConnection: (connection) => {
        this.current = new EnqueuePort(connection, setting.clock, answerMillisecondsMax)
      },
      // A late word of a connection that was given up must not answer for a message of the next one: both count from 1.
      onFrame: (frame, connection) => connection === this.link.connection && this.current?.handle(frame),
      onLost: (reason) => this.current?.connectionClosed(reason),
    })
  }

  async port(): Promise<EnqueuePort> {
    await this.link.connected()
    assert(this.current !== undefined, 'a connection has a port')
    return this.current
  }

  /** Ends after what was sent; callers that wait for an answer get a failure. A message after that makes another connection. */
  close(): void {
    this.link.close()
    this.current?.connectionClosed('')
  }
}
