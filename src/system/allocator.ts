/** Tells glibc to give large blocks back. By itself it learns, once some were freed, to keep blocks of up to 32 MiB in a
 *  heap for each thread: a few threads that hash passwords would hold 20 MiB each for ever. Elsewhere it does nothing. */
import { createRequire } from 'node:module'

const mmapThreshold = -3
const largeBytes: number = 1024 * 1024

export function giveLargeBlocksBack(): void {
  if (process.platform !== 'linux') return
  try {
    const ffi = createRequire(import.meta.url)('node:ffi') as typeof import('node:ffi')
    const { functions } = ffi.dlopen('libc.so.6', { mallopt: { arguments: ['i32', 'i32'], return: 'i32' } })
    const { mallopt } = functions as unknown as { mallopt(parameter: number, value: number): number }
    mallopt(mmapThreshold, largeBytes)
  } catch {
    // Another C library, or no FFI in this build: the memory is only kept, not lost.
  }
}
