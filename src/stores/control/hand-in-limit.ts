/** The size limit of messages handed in on this machine. */
import type { Control } from './control.ts'

/** Added to databytes, so that a `.qmail` program can hand in again, with its new header, a message that came at that limit. */
const headerBytes: number = 64 * 1024

/** Bytes of content. */
export function handInBytesMax(control: Control): number {
  control.refresh()
  const databytes = control.number('databytes')
  return databytes === 0 ? Number.POSITIVE_INFINITY : databytes + headerBytes
}
