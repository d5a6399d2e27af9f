/** The input of a program of the command line. */
import { createReadStream, fstatSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { realRandom } from './random.ts'
import { Gathered } from './spool.ts'

const readBytes: number = 64 * 1024

/** Throws if the input breaks off with an error, or the temporary directory is full. The caller closes what it gets. */
export async function gather(input: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<Gathered> {
  const gathered = new Gathered(realRandom)
  try {
    for await (const chunk of input) gathered.append(chunk)
    return gathered
  } catch (error) {
    gathered.close()
    throw error
  }
}

/** A descriptor that was handed to us, whatever it is. */
export function readDescriptor(fd: number): Readable {
  const facts = fstatSync(fd)
  if (facts.isFIFO() || facts.isSocket()) return new Socket({ fd, readable: true, writable: false })
  return createReadStream('', { fd, autoClose: false, highWaterMark: readBytes })
}
