/** Whether a directory's file system can keep what a mail server promises: it takes a file, syncs it, renames it, syncs the
 *  directory. Whether the disk obeys a sync, only a power cut shows.
 *  Never:  leaves a file behind.
 *  Fails:  as Node does. */
import { constants } from 'node:fs'
import { open, rename, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from './clock.ts'

export interface DiskFacts {
  /** The median of a few: write, sync, rename, sync of the directory. */
  readonly milliseconds: number
  readonly kind: 'memory' | 'network' | 'disk'
  readonly freeBytes: number
}

const rounds = 5
/** statfs(2) of Linux. */
const kinds: ReadonlyMap<number, 'memory' | 'network'> = new Map([
  [0x01021994, 'memory'],
  [0x858458f6, 'memory'],
  [0x6969, 'network'],
  [0xff534d42, 'network'],
  [0xfe534d42, 'network'],
])

export async function probeDisk(directory: string, clock: Clock): Promise<DiskFacts> {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const begun = clock.monotonic()
    await oneRound(directory)
    times.push(clock.monotonic() - begun)
  }
  const { type, bavail, bsize } = await statfs(directory)
  const median = times.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? 0
  return { milliseconds: median, kind: kinds.get(type) ?? 'disk', freeBytes: bavail * bsize }
}

/** Its files' names begin with this, and end in the process id and `.new`, as those of `replaceFile`. */
export const probePrefix = '.quaver-probe.'

async function oneRound(place: string): Promise<void> {
  const path = join(place, `${probePrefix}${process.pid}.new`)
  const renamed = join(place, `${probePrefix}renamed.${process.pid}.new`)
  try {
    const file = await open(
      path,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    )
    try {
      await file.write('probe')
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(path, renamed)
    const directory = await open(place, constants.O_RDONLY)
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  } finally {
    await rm(path, { force: true })
    await rm(renamed, { force: true })
  }
}
