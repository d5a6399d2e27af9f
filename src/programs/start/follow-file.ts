/** Hands on what is appended to a file, from its present end on. */
import { type FSWatcher, openSync, readSync, fstatSync, watch } from 'node:fs'

const chunkBytes: number = 64 * 1024

export function followFile(path: string, onText: (text: string) => void): FSWatcher {
  const fd = openSync(path, 'r')
  const buffer = Buffer.alloc(chunkBytes)
  let at = fstatSync(fd).size
  return watch(path, () => {
    for (;;) {
      const bytes = readSync(fd, buffer, 0, chunkBytes, at)
      if (bytes === 0) return
      at += bytes
      onText(buffer.toString('latin1', 0, bytes))
    }
  })
}
