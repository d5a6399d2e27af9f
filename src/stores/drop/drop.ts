/** HOME/queue/drop: messages handed in while the daemons were down wait here. One file a message, mode 0600, created with
 *  O_EXCL under its final name; the file's owner proves who sent it.
 *
 *  Form: the length of the envelope in decimal, LF, the envelope (contracts/envelope.ts), the length of the content in decimal,
 *        LF, the content, and a final LF. A file without its final LF was not finished, and its writer reported no success. The
 *        pickup reads it, enqueues, and removes it only after the commit: a crash between the two delivers the message twice,
 *        never loses it.
 *  Fails:  throws as the file system does. */
import { fstatSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { decodeEnvelope, encodeEnvelope, type Envelope, envelopeBytesMax } from '../../contracts/envelope.ts'
import { type Files, realFiles } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

const lengthDigitsMax = 16

export function dropDirectory(home: Home): string {
  return join(home.queue, 'drop')
}

const refusedPrefix = 'refused.'

/** The name of the file of a message that the queue refused for good; it is kept for an administrator. */
export function refusedName(name: string): string {
  return refusedPrefix + name
}

export function isRefusedName(name: string): boolean {
  return name.startsWith(refusedPrefix)
}

/** When it resolves, the message survives a power cut. `name` must be new: it holds a time and a process id. */
export async function drop(
  home: Home,
  name: string,
  envelope: Envelope,
  contentBytes: number,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  files: Files = realFiles,
): Promise<void> {
  const path = join(dropDirectory(home), name)
  const file = await files.create(path, 0o600)
  try {
    const head = encodeEnvelope(envelope)
    await file.write([Buffer.from(`${head.length}\n`), head, Buffer.from(`${contentBytes}\n`)])
    let written = 0
    for await (const chunk of content) {
      await file.write([chunk])
      written += chunk.length
    }
    if (written !== contentBytes) throw new Error(`${written} bytes of content, ${contentBytes} were announced`)
    await file.write([Buffer.from('\n')])
    await file.sync()
    await file.close()
  } catch (error) {
    await file.close().catch(() => undefined)
    await files.remove(path)
    throw error
  }
  await files.syncDirectory(dropDirectory(home))
}

export interface Dropped {
  readonly envelope: Envelope
  readonly contentBytes: number
  /** Where in the file the content begins. */
  readonly contentAt: number
}

/** Undefined if the file is not finished, or is no message at all. Reads at most the envelope. */
export function readDropped(fd: number): Dropped | undefined {
  const fileBytes = fstatSync(fd).size
  const first = readLength(fd, 0)
  if (first === undefined || first.value > envelopeBytesMax) return undefined
  const envelopeBytes = Buffer.alloc(first.value)
  if (readSync(fd, envelopeBytes, 0, first.value, first.next) !== first.value) return undefined
  const second = readLength(fd, first.next + first.value)
  if (second === undefined || second.next + second.value + 1 !== fileBytes) return undefined
  try {
    return { envelope: decodeEnvelope(envelopeBytes), contentBytes: second.value, contentAt: second.next }
  } catch {
    return undefined
  }
}

function readLength(fd: number, at: number): { value: number; next: number } | undefined {
  const buffer = Buffer.alloc(lengthDigitsMax + 1)
  const bytes = readSync(fd, buffer, 0, buffer.length, at)
  const end = buffer.subarray(0, bytes).indexOf(10)
  const digits = buffer.toString('latin1', 0, Math.max(end, 0))
  return /^\d{1,15}$/.test(digits) ? { value: Number(digits), next: at + end + 1 } : undefined
}
