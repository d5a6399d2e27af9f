/** Removes half-written files of killed commands: `.NAME.PID.new`, as `replaceFile` makes them before it renames them, and
 *  files of a disk probe, which may be above the home.
 *  Never:  touches a file whose process may be alive. */
import { readFileSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { probePrefix } from '../../system/disk-probe.ts'
import { errorCode } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

export async function removeLeftovers(home: Home): Promise<void> {
  for (const directory of [home.path, home.control, home.users, home.alias, home.tls, home.auth, home.bin])
    await removeIn(directory, '.')
  for (let above = dirname(home.path); above !== dirname(above); above = dirname(above))
    await removeIn(above, probePrefix)
}

async function removeIn(directory: string, prefix: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    const pid = Number(/^\..+\.(\d+)\.new$/.exec(name)?.[1] ?? Number.NaN)
    if (!name.startsWith(prefix) || !Number.isInteger(pid) || isAlive(pid)) continue
    await rm(join(directory, name), { force: true })
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return []
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

/** In a container, often no process reaps the killed ones. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
  } catch {
    return false
  }
}
