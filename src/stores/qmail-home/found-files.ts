/** The files of another qmail's directory, with what is needed to make them anew.
 *  Never:  follows a link below it; takes anything but files, directories and links.
 *  Fails:  throws as Node does if the directory cannot be read; entries that cannot be taken are named. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import type { ByteString } from '../../base/byte-string.ts'
import { fromText } from '../../base/byte-string.ts'
import { pathOf } from '../../system/quick-files.ts'

export interface FoundFile {
  /** Below the directory. */
  readonly name: ByteString
  readonly path: ByteString
  readonly kind: 'file' | 'directory' | 'link'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly modifiedMs: number | undefined
}

/** A Maildir below alias/ has three levels. */
const levelsMax = 6
const filesMax = 200_000
/** Of a file that is read as a whole. */
const wholeBytesMax: number = 256 * 1024 * 1024

export function filesBelow(directory: string): {
  readonly files: FoundFile[]
  readonly skipped: { readonly path: ByteString; readonly why: string }[]
} {
  const files: FoundFile[] = []
  const skipped: { path: ByteString; why: string }[] = []
  const walk = (path: ByteString, below: ByteString, level: number): void => {
    for (const entry of readdirSync(pathOf(path), { encoding: 'latin1' }).sort()) {
      const name = below === '' ? entry : `${below}/${entry}`
      const facts = lstatSync(pathOf(`${path}/${entry}`))
      const kind = facts.isFile()
        ? 'file'
        : facts.isDirectory()
          ? 'directory'
          : facts.isSymbolicLink()
            ? 'link'
            : undefined
      if (kind === undefined) skipped.push({ path: name, why: 'is neither a file nor a directory' })
      else if (level === levelsMax) skipped.push({ path: name, why: 'lies too deep' })
      else if (facts.size > wholeBytesMax)
        skipped.push({
          path: name,
          why: `has ${facts.size} bytes, more than ${wholeBytesMax}: copy it with its owner (cp -p)`,
        })
      else {
        if (files.length >= filesMax) throw new Error(`${directory} has more than ${filesMax} files`)
        const { mode, uid, gid, mtimeMs } = facts
        files.push({ name, path: `${path}/${entry}`, kind, mode: mode & 0o7777, uid, gid, modifiedMs: mtimeMs })
        if (kind === 'directory') walk(`${path}/${entry}`, name, level + 1)
      }
    }
  }
  if (lstatSync(directory, { throwIfNoEntry: false }) !== undefined) walk(fromText(directory), '', 0)
  return { files, skipped }
}

/** The content; of a link, its target. */
export function readFound({ path, kind }: Pick<FoundFile, 'path' | 'kind'>): Buffer {
  if (kind === 'link') return readlinkSync(pathOf(path), { encoding: 'buffer' })
  const fd = openSync(pathOf(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { size } = fstatSync(fd)
    if (size > wholeBytesMax) throw new Error(`${path} has ${size} bytes, limit ${wholeBytesMax}`)
    const bytes = Buffer.alloc(size)
    let filled = 0
    while (filled < size) {
      const count = readSync(fd, bytes, filled, size - filled, filled)
      if (count === 0) throw new Error(`${path} became shorter while it was read`)
      filled += count
    }
    return bytes
  } finally {
    closeSync(fd)
  }
}
