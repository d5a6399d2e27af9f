/** How large a message may be that is handed in on this machine. */
import type { Control } from './control.ts'

/** Besides databytes: what came in at that limit can be handed in again by a `.qmail` program, with its new header. */
const headerBytes: number = 64 * 1024

/** Bytes of content. */
export function handInBytesMax(control: Control): number {
  control.refresh()
  const databytes = control.number('databytes')
  return databytes === 0 ? Number.POSITIVE_INFINITY : databytes + headerBytes
}
