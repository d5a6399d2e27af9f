/** CPU time of a server with all its processes, ended ones included: from a control group of its own where root can make
 *  one. Otherwise from /proc, which drops up to 10 ms a process: kind to whoever has many. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cpuMilliseconds, treeOf } from '../test/kit/processes.ts'

const version1 = '/sys/fs/cgroup/cpuacct'
const version2 = '/sys/fs/cgroup'

export interface CpuMeter {
  readonly isExact: boolean
  milliseconds(): number
  /** Call when the processes are gone. */
  release(): void
}

export function meterOf(rootPid: number): CpuMeter {
  const group = makeGroup(`quaver-bench-${rootPid}`)
  const fromProc = { isExact: false, milliseconds: () => cpuMilliseconds(rootPid), release: () => undefined }
  if (group === undefined) return fromProc
  try {
    for (const { pid } of treeOf(rootPid)) writeFileSync(join(group, 'cgroup.procs'), String(pid))
    const milliseconds = readerOf(group)
    return { isExact: true, milliseconds, release: () => rmdirSync(group) }
  } catch {
    return fromProc
  }
}

function makeGroup(name: string): string | undefined {
  const parent = [version1, version2].find((place) => existsSync(join(place, 'cgroup.procs')))
  if (parent === undefined) return undefined
  try {
    mkdirSync(join(parent, name))
    return join(parent, name)
  } catch {
    return undefined
  }
}

function readerOf(group: string): () => number {
  const nanoseconds = join(group, 'cpuacct.usage')
  if (existsSync(nanoseconds)) return () => Number(readFileSync(nanoseconds, 'utf8')) / 1e6
  const statistics = join(group, 'cpu.stat')
  return () => Number(/^usage_usec (\d+)/m.exec(readFileSync(statistics, 'utf8'))?.[1]) / 1000
}
