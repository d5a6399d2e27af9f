/** Where both servers keep their queues and Maildirs: a journaled ext4 in a loop-mounted image if root can make one, since a
 *  file system without a journal, or one churned by deletes, misleads; otherwise the temporary directory, and it says so. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const imageMegabytes = 3072

export interface Disk {
  readonly path: string
  readonly description: string
  release(): void
}

export function openDisk(): Disk {
  const base = mkdtempSync(join(tmpdir(), 'quaver-bench-'))
  const image = join(base, 'image')
  const path = join(base, 'disk')
  mkdirSync(path, { mode: 0o755 })
  try {
    run('chmod', ['755', base])
    run('fallocate', ['-l', `${imageMegabytes}M`, image])
    run('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image])
    const device = run('losetup', ['--find', '--show', '--direct-io=on', image]).trim()
    try {
      run('mount', ['-t', 'ext4', device, path])
    } catch (error) {
      run('losetup', ['-d', device])
      throw error
    }
    const release = (): void => {
      run('umount', ['-l', path])
      run('losetup', ['-d', device])
      rmSync(base, { recursive: true, force: true })
    }
    return { path, description: `ext4 with a journal, a ${imageMegabytes} MiB image on loop with direct I/O`, release }
  } catch {
    rmSync(image, { force: true })
    return {
      path,
      description: `${fileSystemOf(path)} of the temporary directory (no loop mount: needs root); it may mislead`,
      release: () => rmSync(base, { recursive: true, force: true }),
    }
  }
}

function fileSystemOf(path: string): string {
  return run('stat', ['-f', '-c', '%T', path]).trim()
}

function run(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', timeout: 60_000, stdio: ['ignore', 'pipe', 'ignore'] })
}
