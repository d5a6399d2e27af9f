/** Packs what comes in pieces, off the main thread. */
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'

export async function gzipped(pieces: Iterable<string>): Promise<Buffer> {
  const packing = Readable.from(pieces).pipe(createGzip({ level: 9 }))
  return Buffer.concat(await Array.fromAsync(packing as AsyncIterable<Buffer>))
}
