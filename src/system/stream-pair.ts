/** Two streams as one: it reads from the one and writes to the other. */
import { Duplex, type Readable, type Writable } from 'node:stream'

export class StreamPair extends Duplex {
  private readonly input: Readable
  private readonly output: Writable

  constructor(input: Readable, output: Writable) {
    super({ allowHalfOpen: true })
    this.input = input
    this.output = output
    input.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) input.pause()
    })
    input.on('end', () => this.push(null))
    // What was read until then counts, as at its end.
    input.on('error', () => this.push(null))
    output.on('error', (error) => this.destroy(error))
    input.pause()
  }

  override _read(): void {
    this.input.resume()
  }

  override _write(bytes: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.output.write(bytes, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.output.end(done)
  }
}
