/** Content that is pushed in portions and kept until it is whole: small in memory, large in an unlinked temporary file. */
import { PassThrough } from 'node:stream'
import { spool, type Spooled } from './input-spool.ts'

export class SpoolingSink {
  private readonly pipe = new PassThrough()
  private readonly spooled: Promise<Spooled>

  constructor() {
    this.spooled = spool(this.pipe as AsyncIterable<Buffer>)
    // `finish` tells it; before, nobody waits.
    this.spooled.catch(() => undefined)
  }

  /** Undefined: more may come at once. */
  write(bytes: Buffer): Promise<void> | undefined {
    if (this.pipe.write(bytes) || this.pipe.destroyed) return undefined
    return new Promise((resolve) => {
      this.pipe.once('drain', resolve).once('close', resolve)
    })
  }

  /** Throws if the temporary directory is full. */
  finish(): Promise<Spooled> {
    this.pipe.end()
    return this.spooled
  }

  abandon(): void {
    this.pipe.destroy()
  }
}
